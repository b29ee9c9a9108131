package plugin

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// encode prints a result of version 1.0.0 or later as its PrintTo does, to the byte: members in the order of their names, four spaces a level. The
// library encodes it, decodes that and encodes it twice more, a twentieth of an ADD. It says false where something in it is not as
// it should be, which the library has words for.
func encode(r *types100.Result) (text []byte, ok bool) {
	if slices.Contains(r.Interfaces, nil) || slices.Contains(r.IPs, nil) || slices.Contains(r.Routes, nil) {
		return nil, false
	}
	w := &writer{ok: true}
	w.open('{')
	w.text("cniVersion", r.CNIVersion)
	w.dns(r.DNS)
	list(w, "interfaces", r.Interfaces, func(i *types100.Interface) {
		w.text("mac", i.Mac)
		w.number("mtu", i.Mtu)
		w.key("name").quote(i.Name)
		w.text("pciID", i.PciID)
		w.text("sandbox", i.Sandbox)
		w.text("socketPath", i.SocketPath)
	})
	list(w, "ips", r.IPs, func(c *types100.IPConfig) {
		w.key("address").quote(c.Address.String())
		w.ip("gateway", c.Gateway)
		w.pointer("interface", c.Interface)
	})
	list(w, "routes", r.Routes, func(r *types.Route) {
		w.number("advmss", r.AdvMSS)
		w.key("dst").quote(r.Dst.String())
		w.ip("gw", r.GW)
		w.number("mtu", r.MTU)
		w.number("priority", r.Priority)
		w.pointer("scope", r.Scope)
		w.pointer("table", r.Table)
	})
	w.close('}')
	return w.out, w.ok
}

// writer writes objects and arrays, each member on a line of its own.
type writer struct {
	out   []byte
	depth int
	ok    bool
}

func (w *writer) open(bracket byte) {
	w.out = append(w.out, bracket)
	w.depth++
}

func (w *writer) close(bracket byte) {
	w.depth--
	if last := w.out[len(w.out)-1]; last != '{' && last != '[' {
		w.line()
	}
	w.out = append(w.out, bracket)
}

func (w *writer) line() {
	w.out = append(append(w.out, '\n'), strings.Repeat("    ", w.depth)...)
}

// next begins a member or an element.
func (w *writer) next() *writer {
	if last := w.out[len(w.out)-1]; last != '{' && last != '[' {
		w.out = append(w.out, ',')
	}
	w.line()
	return w
}

func (w *writer) key(name string) *writer {
	w.next().out = append(append(append(w.out, '"'), name...), `": `...)
	return w
}

func (w *writer) quote(s string) {
	plain := func(c rune) bool { return c >= ' ' && c <= '~' && !strings.ContainsRune(`"\<>&`, c) }
	if strings.ContainsFunc(s, func(c rune) bool { return !plain(c) }) {
		text, _ := json.Marshal(s)
		w.out = append(w.out, text...)
		return
	}
	w.out = append(append(append(w.out, '"'), s...), '"')
}

// Members that are empty are left out.
func (w *writer) text(name, s string) {
	if s != "" {
		w.key(name).quote(s)
	}
}

func (w *writer) number(name string, n int) {
	if n != 0 {
		w.pointer(name, &n)
	}
}

func (w *writer) pointer(name string, n *int) {
	if n != nil {
		w.key(name).out = strconv.AppendInt(w.out, int64(*n), 10)
	}
}

func (w *writer) ip(name string, ip net.IP) {
	if len(ip) != 0 {
		w.ok = w.ok && ip.To16() != nil
		w.key(name).quote(ip.String())
	}
}

func (w *writer) dns(d types.DNS) {
	if d.IsEmpty() {
		return
	}
	w.key("dns").open('{')
	w.text("domain", d.Domain)
	w.texts("nameservers", d.Nameservers)
	w.texts("options", d.Options)
	w.texts("search", d.Search)
	w.close('}')
}

func (w *writer) texts(name string, all []string) {
	if len(all) == 0 {
		return
	}
	w.key(name).open('[')
	for _, s := range all {
		w.next().quote(s)
	}
	w.close(']')
}

func list[T any](w *writer, name string, all []T, members func(T)) {
	if len(all) == 0 {
		return
	}
	w.key(name).open('[')
	for _, one := range all {
		w.next().open('{')
		members(one)
		w.close('}')
	}
	w.close(']')
}
