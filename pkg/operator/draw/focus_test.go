package draw

import (
	"slices"
	"strings"
	"testing"
)

func ids(p Picture) (list []string) {
	for _, b := range p.Boxes {
		list = append(list, b.ID)
	}
	return list
}

func TestFocusKeepsWhatIsConnected(t *testing.T) {
	p := sample(3, 2)
	for _, word := range []string{"front-0", "ns:front-0", "10.0.0.2", "10.0.0.2/16"} {
		got, err := p.Focus(word)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"outside", "link:uplink", "router", "filter:front", "link:front0", "ns:front-0", "ns:front-0/eth0"} {
			if !slices.Contains(ids(got), want) {
				t.Errorf("focus %s: %s is missing", word, want)
			}
		}
		for _, other := range []string{"ns:front-1", "ns:front-2", "link:back0"} {
			if slices.Contains(ids(got), other) {
				t.Errorf("focus %s: %s is not connected to it", word, other)
			}
		}
	}
	both, err := p.Focus("front-1") // is on both networks
	if err != nil || !slices.Contains(ids(both), "link:back0") || !slices.Contains(ids(both), "link:front0") {
		t.Errorf("focus on a container of two networks: %v, %v", ids(both), err)
	}
	if slices.ContainsFunc(both.Boxes, func(b Box) bool {
		return slices.ContainsFunc(b.Lines, func(l Line) bool { return l.About == "ns:front-0" })
	}) {
		t.Error("what the packet filter does for others is still told")
	}
}

func TestFocusOnANetwork(t *testing.T) {
	got, err := sample(3, 2).Focus("front")
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(ids(got), " "); !strings.Contains(all, "ns:front-2") || strings.Contains(all, "ns:back-0") {
		t.Errorf("focus on a network: %s", all)
	}
}

func TestFocusOnNothing(t *testing.T) {
	_, err := sample(3).Focus("frunt-1\x1b")
	if err == nil || err.Error() != `frunt-1\x1b: nothing of that name is on this host; near it: front0, front-0, front-1, front-2` {
		t.Errorf("got %v", err)
	}
}

func TestGroup(t *testing.T) {
	p := sample(340, 10)
	if got := p.Group(350); len(got.Boxes) != len(p.Boxes) {
		t.Errorf("%d of %d boxes are left where nothing is to be grouped", len(got.Boxes), len(p.Boxes))
	}
	got := p.Group(Legible)
	all := got.JSON()
	for _, want := range []string{`"340 containers"`, `"10 containers"`, `"front-2"`, `"1 leaked, 1 broken"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
	if len(got.Boxes) > 25 {
		t.Errorf("%d boxes are left", len(got.Boxes))
	}
	crowd := got.Boxes[slices.IndexFunc(got.Boxes, func(b Box) bool { return b.ID == "crowd:front" })]
	if !slices.ContainsFunc(got.Edges, func(e Edge) bool { return e.From == "link:front0" && e.To == crowd.ID }) {
		t.Error("the crowd hangs on nothing")
	}
}

// However many there are: a thousand links that leaked are not all drawn either.
func TestGroupOfTheIll(t *testing.T) {
	var p Picture
	for range 1000 {
		p.attach("ns:many", "", "eth0", "10.0.0.2/16", 4)
	}
	for i := range 300 {
		p.Boxes = append(p.Boxes, Box{ID: strings.Repeat("x", i+1), Kind: Namespace})
	}
	if got := p.Group(Legible); len(got.Boxes) > Legible+10 {
		t.Errorf("%d boxes are left", len(got.Boxes))
	}
}
