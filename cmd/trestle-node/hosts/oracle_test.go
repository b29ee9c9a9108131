package hosts

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
)

// The oracle knows what every host's kernel must have, by what the store says of blocks and by how the hosts are plugged together, and asks nobody of ours: it reads
// with iproute2 and nft, and the Ethernet address of a tunnel's end is the one that the host at that end has.

// facts are what is so, in words, by host.
type facts map[string]bool

func (f facts) note(h *host, format string, args ...any) {
	f[h.name+": "+fmt.Sprintf(format, args...)] = true
}

// listing is what `trestle-node list --json` says.
type listing struct {
	Pool   struct{ CIDRs []netip.Prefix }
	Nodes  []struct{ Name, State, Boot string }
	Blocks []struct {
		ID     pool.ID
		Prefix netip.Prefix
		Node   string
	}
}

func (h *host) list() (l listing) {
	h.w.t.Helper()
	must(h.w.t, json.Unmarshal([]byte(h.node("list", "--json")), &l))
	return l
}

// told is what a command on the host says, and nothing where it fails: what the oracle looks at may be gone at this moment and there in the next, and what is missing is
// missed among the facts.
func (h *host) told(args ...string) string {
	out, err := h.command(args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// read reads what a command says in JSON.
func (h *host) read(to any, args ...string) {
	h.w.t.Helper()
	if out := h.told(args...); strings.TrimSpace(out) != "" {
		must(h.w.t, json.Unmarshal([]byte(out), to))
	}
}

// oracle says all that is wrong on these hosts, to which these containers are attached and no others.
func (w *world) oracle(hosts []*host, pods []pod) (wrong []string) {
	w.t.Helper()
	var l listing
	hosts[0].read(&l, program("trestle-node"), "--config", hosts[0].file(), "list", "--json")
	if len(l.Blocks) == 0 {
		return []string{"the store says nothing of blocks"}
	}
	has, wanted := make(facts), make(facts)
	for _, h := range hosts {
		h.kernel(has)
		for _, other := range hosts {
			h.ways(l, other, wanted)
		}
		h.holds(has)
	}
	for _, p := range pods {
		wrong = append(wrong, p.wrong(l, pods)...)
		for _, addr := range p.addrs {
			wanted.note(p.host, "address %s is reserved", addr)
			wanted.note(p.host, "address %s is masqueraded", addr)
		}
	}
	for fact := range wanted {
		if !has[fact] {
			wrong = append(wrong, fact+": is not so")
		}
	}
	for fact := range has {
		if !wanted[fact] {
			wrong = append(wrong, fact+": nobody wants that")
		}
	}
	for _, h := range hosts {
		wrong = append(wrong, h.masquerade(l, pods)...)
		for _, addr := range h.w.addresses(h.command("ip", "-j", "address", "show", "dev", "pods0")) {
			if !l.owns(h, addr) {
				wrong = append(wrong, fmt.Sprintf("%s: its bridge has %s, which is in no block of its", h.name, addr))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// ways are what the host must have of another's blocks; of its own it hands out.
func (h *host) ways(l listing, other *host, wanted facts) {
	h.w.t.Helper()
	for _, b := range l.Blocks {
		if b.Node != other.name {
			continue
		}
		near := slices.IndexFunc(other.via, func(a netip.Addr) bool { return a.Is4() == b.Prefix.Addr().Is4() })
		first := b.Prefix.Addr()
		switch {
		case h == other:
			wanted.note(h, "hands out %s", b.Prefix)
		case h.to == other.to && near >= 0:
			wanted.note(h, "route %s via %s dev eth0", b.Prefix, other.via[near])
		default:
			mac := other.tunnel()
			wanted.note(h, "route %s via %s dev vxlan.118", b.Prefix, first)
			wanted.note(h, "neighbour %s is %s", first, mac)
			wanted.note(h, "tunnel's end %s at %s", mac, other.via[0])
		}
	}
}

// tunnel is the Ethernet address of the host's end.
func (h *host) tunnel() string {
	h.w.t.Helper()
	links := []struct{ Address string }{{"nobody"}}
	h.read(&links, "ip", "-j", "link", "show", "vxlan.118")
	return links[0].Address
}

// kernel is what the host's has of ways to others.
func (h *host) kernel(has facts) {
	h.w.t.Helper()
	for _, family := range []string{"-4", "-6"} {
		var routes []struct{ Dst, Gateway, Dev string }
		h.read(&routes, "ip", "-j", family, "route", "show", "proto", "118")
		for _, r := range routes {
			if !strings.Contains(r.Dst, "/") { // of one address
				r.Dst += map[string]string{"-4": "/32", "-6": "/128"}[family]
			}
			has.note(h, "route %s via %s dev %s", r.Dst, r.Gateway, r.Dev)
		}
		var near []struct{ Dst, Lladdr string }
		h.read(&near, "ip", "-j", family, "neigh", "show", "dev", "vxlan.118", "nud", "permanent")
		for _, n := range near {
			has.note(h, "neighbour %s is %s", n.Dst, n.Lladdr)
		}
	}
	var ends []struct{ Mac, Dst string }
	h.read(&ends, "bridge", "-j", "fdb", "show", "dev", "vxlan.118")
	for _, e := range ends {
		if e.Dst != "" {
			has.note(h, "tunnel's end %s at %s", e.Mac, e.Dst)
		}
	}
}

// holds is what host-local may hand out there, what it has, and what is masqueraded.
func (h *host) holds(has facts) {
	h.w.t.Helper()
	for _, r := range h.ranges() {
		has.note(h, "hands out %s", r.Subnet)
	}
	for _, name := range strings.Fields(h.told("ls", "/var/lib/cni/networks/pods")) { // there is none before the first
		if addr, err := netip.ParseAddr(name); err == nil {
			has.note(h, "address %s is reserved", addr)
		}
	}
	for _, set := range []string{"masq4", "masq6"} {
		for _, words := range h.elements(set) {
			has.note(h, "address %s is masqueraded", words[0])
		}
	}
}

// ranges are what host-local reads.
func (h *host) ranges() []pool.Range {
	h.w.t.Helper()
	var may struct{ Ranges [][]pool.Range }
	h.read(&may, "cat", "/run/cni/blocks/pods.json")
	return slices.Concat(may.Ranges...)
}

// element is an address, or one with where it goes; what it counts stands behind it.
var element = regexp.MustCompile(`(?m)(?:^|[{,])\s*([0-9a-f][0-9a-f:./]+(?: \. [0-9a-f:./]+)?)`)

// elements are those of a set in our table, each with its parts.
func (h *host) elements(set string) (list [][]string) {
	_, text, _ := strings.Cut(h.told("nft", "list", "set", "inet", "trestle", set), "elements = ") // there is none before the first container
	text, _, _ = strings.Cut(text, "}")
	for _, one := range element.FindAllStringSubmatch(text, -1) {
		list = append(list, strings.Split(one[1], " . "))
	}
	return list
}

// masquerade holds that what is masqueraded keeps its address on the way to each of the pool's blocks, and that nobody else is excepted.
func (h *host) masquerade(l listing, pods []pod) (wrong []string) {
	h.w.t.Helper()
	spared := make(map[netip.Addr][]netip.Prefix)
	for _, set := range []string{"direct4", "direct6"} {
		for _, words := range h.elements(set) {
			addr, to := netip.MustParseAddr(words[0]), words[1]
			if !strings.Contains(to, "/") {
				to += fmt.Sprintf("/%d", addr.BitLen())
			}
			spared[addr] = append(spared[addr], netip.MustParsePrefix(to))
		}
	}
	for _, p := range pods {
		if p.host != h {
			continue
		}
		for _, addr := range p.addrs {
			for _, cidr := range l.Pool.CIDRs {
				if cidr.Addr().Is4() == addr.Is4() && !pool.Within(cidr, spared[addr]) {
					wrong = append(wrong, fmt.Sprintf("%s: address %s is masqueraded to %s", h.name, addr, cidr))
				}
			}
			delete(spared, addr)
		}
	}
	for addr := range spared {
		wrong = append(wrong, fmt.Sprintf("%s: address %s is excepted, and no container has it", h.name, addr))
	}
	return wrong
}

// wrong holds that the container has the addresses that it was given, of its host's own blocks, and that no other container has them.
func (p pod) wrong(l listing, pods []pod) (wrong []string) {
	p.host.w.t.Helper()
	has := p.host.w.addresses(exec.Command("ip", "-j", "-n", p.name, "address", "show", "dev", "eth0"))
	given := slices.Clone(p.addrs)
	slices.SortFunc(given, netip.Addr.Compare)
	slices.SortFunc(has, netip.Addr.Compare)
	if !slices.Equal(has, given) {
		wrong = append(wrong, fmt.Sprintf("%s: has %v, and was given %v", p.name, has, given))
	}
	for _, addr := range has {
		for _, other := range pods {
			if other.name != p.name && slices.Contains(other.addrs, addr) {
				wrong = append(wrong, fmt.Sprintf("%s: has %s, as %s", p.name, addr, other.name))
			}
		}
		if !l.owns(p.host, addr) {
			wrong = append(wrong, fmt.Sprintf("%s: has %s, which is in no block of %s", p.name, addr, p.host.name))
		}
	}
	return wrong
}

// owns says whether the address is in a block of the host's.
func (l listing) owns(h *host, addr netip.Addr) bool {
	for _, b := range l.Blocks {
		if b.Node == h.name && b.Prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// count is how many blocks the host has.
func (l listing) count(h *host) (n int) {
	for _, b := range l.Blocks {
		if b.Node == h.name {
			n++
		}
	}
	return n
}

// addresses are those that ip shows of a link, but what the kernel gives; none where there is no link.
func (w *world) addresses(ip *exec.Cmd) (has []netip.Addr) {
	w.t.Helper()
	out, err := ip.Output()
	if err != nil {
		return nil
	}
	var links []struct {
		Info []struct{ Local, Scope string } `json:"addr_info"`
	}
	must(w.t, json.Unmarshal(out, &links))
	for _, a := range links[0].Info {
		if a.Scope == "global" {
			has = append(has, netip.MustParseAddr(a.Local))
		}
	}
	return has
}

// agree waits until nothing is wrong.
func (w *world) agree(hosts []*host, pods []pod) {
	w.t.Helper()
	w.until("all kernels are as they are to be", func() error {
		if wrong := w.oracle(hosts, pods); len(wrong) > 0 {
			return fmt.Errorf("\n%s", strings.Join(wrong, "\n"))
		}
		return nil
	})
}

// spoil makes a file of the host's another.
func (h *host) spoil(t *testing.T, path, old, new string) {
	t.Helper()
	text := h.do("cat", path)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q: %s", path, old, text)
	}
	tmp := h.w.dir + "/spoiled"
	must(t, os.WriteFile(tmp, []byte(strings.Replace(text, old, new, 1)), 0o600))
	h.do("cp", tmp, path)
}
