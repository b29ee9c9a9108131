package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// What a grant has it has until it is told otherwise: by another program after it, too, and not by another boot.
func TestGrant(t *testing.T) {
	p, ctx := places(t), context.Background()
	g, err := OpenGrant(p, "n1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenGrant(p, "n1"); fault.Code(err) != fault.Taken || fault.Hint(err) == "" {
		t.Errorf("a second program has it: %v", err)
	}
	set := func(want bool, cidrs ...string) {
		t.Helper()
		if changed, err := g.Set(ctx, prefixes(cidrs...)); changed != want || err != nil {
			t.Errorf("%v: changed %v, %v", cidrs, changed, err)
		}
		if has := g.Has(); fmt.Sprint(has) != fmt.Sprint(cidrs) {
			t.Errorf("has %v, want %v", has, cidrs)
		}
	}
	set(true)
	set(true, "10.0.1.0/24", "fd00:1::/64")
	set(false, "10.0.1.0/24", "fd00:1::/64")
	set(true, "10.0.2.0/24")
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if g, err = OpenGrant(p, "n1"); err != nil {
		t.Fatal(err)
	}
	set(false, "10.0.2.0/24")
	g.Close()
	for what, text := range map[string]string{"another boot's": `{"network":"pods","node":"n1","boot":"another","ranges":[[{"subnet":"10.0.9.0/24"}]]}`, "torn": "{"} {
		if err := os.WriteFile(p.Ranges, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err = OpenGrant(p, "n1"); err != nil {
			t.Fatal(err)
		}
		if has := g.Has(); len(has) > 0 {
			t.Errorf("%s: has %v", what, has)
		}
		set(true, "10.0.2.0/24")
		g.Close()
	}
}

// What is taken away is taken under host-local's lock; what comes needs none.
func TestGrantWaitsForTheLock(t *testing.T) {
	p := places(t)
	g, err := OpenGrant(p, "n1")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Set(context.Background(), prefixes("10.0.1.0/24")); err != nil {
		t.Fatal(err)
	}
	books, err := ipam.Open(context.Background(), p.Data, p.Network, true)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if changed, err := g.Set(ctx, prefixes("10.0.2.0/24")); changed || err == nil || handedOut(t, p) != "10.0.1.0/24" {
		t.Errorf("a CIDR went while an ADD was under way: %v, %s", err, handedOut(t, p))
	}
	if _, err := g.Set(ctx, prefixes("10.0.1.0/24", "fd00::/64")); err != nil || handedOut(t, p) != "10.0.1.0/24 fd00::/64" {
		t.Errorf("one more waits: %v, %s", err, handedOut(t, p))
	}
}
