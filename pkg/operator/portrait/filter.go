package portrait

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/order"
)

// drawFilters draws, for each lane, what the packet filter does for its containers: the ports that it publishes, and the addresses that leave
// with the host's.
func (p *painter) drawFilters() {
	published, masked, backend := map[string][]draw.Line{}, map[string][]draw.Line{}, map[string]string{}
	var lanes []string
	for _, a := range p.host.Attachments {
		lane := p.laneOf(a)
		if len(a.Ports)+len(a.Masked) > 0 && !slices.Contains(lanes, lane) {
			lanes = append(lanes, lane)
		}
		for _, port := range a.Ports {
			published[lane] = append(published[lane], draw.Line{Text: portText(port), About: p.cell(a), Sort: draw.Ports})
			backend[lane] = port.Backend
		}
		for _, address := range a.Masked {
			masked[lane] = append(masked[lane], draw.Line{Text: "masquerade " + address, About: p.cell(a), Sort: draw.Masked})
		}
	}
	byNumber := func(a, b draw.Line) int { return compare(a.Text, b.Text) }
	for _, lane := range lanes {
		order.By(published[lane], byNumber)
		order.By(masked[lane], byNumber)
		id := "filter/" + lane
		lines := append(published[lane], masked[lane]...)
		p.filters[lane] = id
		p.add(draw.Box{ID: id, Kind: draw.Filter, Lane: lane, Title: "packet filter", Lines: lines})
		p.tie(p.own.ID, id, "", draw.Normal)
	}
}

// portText is a published port, and where it leads.
func portText(port observe.Port) string {
	at := fmt.Sprint(port.HostPort)
	if port.HostIP.IsValid() {
		at = fmt.Sprintf("%s:%d", port.HostIP, port.HostPort)
		if port.HostIP.Is6() {
			at = fmt.Sprintf("[%s]:%d", port.HostIP, port.HostPort)
		}
	}
	return fmt.Sprintf("%s %s → %s", port.Protocol, at, port.Target)
}

// drawBridges draws the bridges. One without an address is not routed to.
func (p *painter) drawBridges() {
	for _, l := range p.own.Links {
		if known.Drawn(l.Kind) != draw.Bridge {
			continue
		}
		b := draw.Box{ID: l.ID, Kind: draw.Bridge, Lane: p.lane[l.ID], Title: l.Name, Lines: p.addresses(l), Names: []string{l.MAC}}
		b.State, b.Why = strange(p.maker(l))
		switch used := slices.ContainsFunc(p.host.Attachments, func(a *observe.Attachment) bool { return a.Bridge == l.ID }); {
		case !l.Up && used:
			b.State, b.Why = draw.Broken, "down"
		case !l.Up:
			b.Lines = append(b.Lines, draw.Line{Text: "down"})
		}
		filter := p.filters[b.Lane]
		switch {
		case filter != "":
			p.tie(filter, l.ID, "", draw.Normal)
		case len(p.addresses(l)) > 0:
			p.tie(p.own.ID, l.ID, "", draw.Normal)
		default:
			b.Lines = append(b.Lines, draw.Line{Text: "no address on the host"})
		}
		p.add(b)
	}
}

// maker is who made the bridge: where it has no mark, whoever made all the attachments on it.
func (p *painter) maker(l *observe.Link) observe.Origin {
	maker := l.Origin
	for _, a := range p.host.Attachments {
		switch {
		case a.Bridge != l.ID || l.Origin != observe.Foreign:
		case maker != observe.Foreign && maker != a.Origin:
			return observe.Foreign
		case a.Origin != observe.Trestle: // which may use a bridge that it did not make
			maker = a.Origin
		}
	}
	return maker
}

// compare orders texts as people do: numbers in them by their value.
func compare(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			x, y = 1, 1
		}
		if x != y && isDigit(a[0]) {
			return x - y
		}
		if c := strings.Compare(a[:x], b[:y]); c != 0 {
			return c
		}
		a, b = a[x:], b[y:]
	}
	return len(a) - len(b)
}

// digits counts those at the beginning.
func digits(s string) (n int) {
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// strange says whose it is if it is not ours.
func strange(o observe.Origin) (draw.State, string) {
	switch o {
	case observe.Trestle, observe.Kernel:
		return draw.Normal, ""
	case observe.Docker:
		return draw.Foreign, "Docker's"
	case observe.Reference:
		return draw.Foreign, "the reference plugins'"
	}
	return draw.Foreign, ""
}
