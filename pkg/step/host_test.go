package step

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// host is a host of a test's own, with one container, and what steps need to work there.
type host struct {
	*testing.T
	*site.Site
	ctx   context.Context
	netns string
}

// onHost runs f on a new host, beside other tests.
func onHost(t *testing.T, f func(*host)) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), slack.Of(time.Minute))
		defer cancel()
		h := &host{T: t, ctx: ctx, netns: nstest.Namespace(t, "c1")}
		h.Site = h.open(h.netns)
		f(h)
	})
}

// open opens a site at the namespace, none if it is empty.
func (h *host) open(netns string) *site.Site {
	h.Helper()
	s, err := site.Open(site.Options{Netns: netns, Filter: func() (firewall.Filter, error) { return nft.Open(), nil }})
	h.must(err)
	h.Cleanup(s.Close)
	return s
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// run runs a command on the host, inside one in the container. Its words are separated by spaces or, where they have any, by line ends.
func (h *host) run(command string) string {
	h.Helper()
	defer h.forget()
	separator := " "
	if strings.Contains(command, "\n") {
		separator = "\n"
	}
	words := strings.Split(command, separator)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		h.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(bytes.TrimSpace(out))
}

func (h *host) inside(command string) (out string) {
	h.Helper()
	defer h.forget()
	h.must(nstest.In(h.netns, func() error { out = h.run(command); return nil }))
	return out
}

// apply applies the steps, which must create something where it is wanted.
func (h *host) apply(steps ...plan.Step) {
	h.Helper()
	for _, step := range steps {
		if _, err := step.Apply(h.ctx, h.Site); err != nil {
			h.Fatalf("%s: %v", step, err)
		}
	}
}

// snapshot leaves out what goes with something else: the settings of the container's interface.
func (h *host) snapshot() string {
	h.Helper()
	var kept strings.Builder
	for line := range strings.Lines(snapshot.Take(h, h.netns)) {
		if !strings.HasPrefix(line, "c1 sysctl ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func (h *host) same(when, before string) {
	h.Helper()
	if diff := cmp.Diff(before, h.snapshot()); diff != "" {
		h.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// refuses wants an error with the code that has all the words.
func refuses(t testing.TB, err error, code uint, words ...string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("%v: code %d, want %d", err, fault.Code(err), code)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: does not say %q", err, word)
		}
	}
}

// The one attachment that most tests make, and what it consists of.
var (
	one    = owner.Of("net", "c1", "eth0")
	link   = one.HostLink()
	br     = Bridge{Name: "br0", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xb0}}
	pair   = vethOf(one, 1)
	pairUp = Up{Host: link, IfName: "eth0"}
	addrs  = Addresses{IfName: "eth0", Addrs: prefixes("10.1.0.2/24", "fd00::2/64")}
)

func vethOf(o owner.Owner, number byte) Veth {
	return Veth{Owner: o, Host: o.HostLink(), IfName: "eth0", Bridge: "br0",
		HostMAC: net.HardwareAddr{2, 0, 0, 0, 1, number}, MAC: net.HardwareAddr{2, 0, 0, 0, 2, number}}
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func addresses(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// join attaches a second container to the bridge, with the addresses, and returns its namespace.
func (h *host) join(name string, number byte, addresses ...string) string {
	h.Helper()
	path := nstest.Namespace(h, name)
	s := h.open(path)
	o := owner.Of("net", name, "eth0")
	list := prefixes(addresses...)
	for _, step := range []plan.Step{vethOf(o, number), Addresses{IfName: "eth0", Addrs: list}, Up{Host: o.HostLink(), IfName: "eth0"},
		Announce{Host: o.HostLink(), IfName: "eth0", Bridge: "br0", Subnet: "br0"}} {
		if _, err := step.Apply(h.ctx, s); err != nil {
			h.Fatalf("%s of %s: %v", step, name, err)
		}
	}
	return path
}

func (h *host) String() string { return fmt.Sprintf("host of %s", h.Name()) }

// forget is for who lets somebody else change links, which a verb would not see.
func (h *host) forget() {
	h.Host.Forget()
	if h.Container != nil {
		h.Container.Forget()
	}
}
