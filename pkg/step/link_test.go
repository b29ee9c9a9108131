package step

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// guarded is a step that looks before it leaps.
type guarded interface {
	plan.Step
	plan.Guarded
}

// untouched wants Guard and Apply to refuse with the code and the words, and nothing to change by them nor by an Undo.
func (h *host) untouched(step guarded, code uint, words ...string) {
	h.Helper()
	before := h.snapshot()
	refuses(h, step.Guard(h.ctx, h.Site), code, words...)
	created, err := step.Apply(h.ctx, h.Site)
	refuses(h, err, code, words...)
	if created {
		h.Error("created, beside an error")
	}
	h.must(step.Undo(h.ctx, h.Site))
	h.same("afterwards", before)
}

func TestForeignHostLink(t *testing.T) {
	other := owner.Of("other", "c9", "eth0")
	for name, alias := range map[string]string{"no mark": "", "another owner": other.Tag(owner.AliasRoom), "another program": "docker"} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.apply(br)
				h.run("ip link add " + link + " type veth peer name x")
				if alias != "" {
					h.run("ip\nlink\nset\n" + link + "\nalias\n" + alias)
				}
				h.untouched(pair, fault.Taken, link, "exists already", alias)
			})
		})
	}
}

func TestOwnLinkExists(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		refuses(t, pair.Guard(h.ctx, h.Site), fault.Taken, "net/c1/eth0", "exists already", link)
	})
}

func TestInterfaceNameTaken(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		h.inside("ip link add eth0 type veth peer name x")
		h.untouched(pair, fault.Taken, "interface eth0: exists already in the container")
	})
}

// Between the look and the request a link of that name may appear. The error is the same, and nothing is marked as ours.
func TestInterfaceNameTakenMeanwhile(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		h.inside("ip link add eth0 type veth peer name x")
		before := h.snapshot()
		_, err := pair.Apply(h.ctx, h.Site)
		refuses(t, err, fault.Taken, "eth0")
		h.same("afterwards", before)
	})
}

func TestBridgeNameTaken(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add br0 type veth peer name x")
		h.untouched(br, fault.Taken, "link br0: is a veth, not a bridge")
	})
}

// A bridge that was there before is taken as it is, and stays.
func TestBridgeOfSomebodyElse(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add br0 address 02:00:00:00:00:99 mtu 1400 type bridge")
		h.run("ip link set br0 up") // from now on it has a queueing discipline
		h.run("ip link set br0 down")
		before := h.run("ip -o link show br0")
		if created, err := br.Apply(h.ctx, h.Site); created || err != nil {
			t.Errorf("created %v, %v", created, err)
		}
		h.must(br.Verify(h.ctx, h.Site))
		h.must(br.Undo(h.ctx, h.Site))
		h.run("ip link set br0 down")
		if diff := cmp.Diff(before, h.run("ip -o link show br0")); diff != "" {
			t.Errorf("the bridge (-want +got):\n%s", diff)
		}
	})
}

// Somebody who does not take our lock makes the bridge between our look and our request: it is his.
func TestBridgeMadeMeanwhile(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add br0 type bridge")
		before := h.snapshot()
		if made, err := br.create(h.Host); made || err != nil {
			t.Errorf("made %v, %v", made, err)
		}
		h.same("afterwards", before)
	})
}

// The same for a veth pair, whose mark would let a DEL remove it.
func TestLinkMadeMeanwhile(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		h.run("ip link add " + link + " type veth peer name x")
		before := h.snapshot()
		container, err := inside(h.Site)
		h.must(err)
		refuses(t, pair.create(h.Site, container), fault.Taken, link)
		h.same("afterwards", before)
	})
}

func TestBridgeInUseStays(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		h.must(br.Undo(h.ctx, h.Site))
		h.must(br.Verify(h.ctx, h.Site))
		h.must(pair.Verify(h.ctx, h.Site))
	})
}

// What the reference made is undone by its container end: no mark, a port of our bridge. Nothing else without a mark is.
func TestUndoUnmarked(t *testing.T) {
	for name, c := range map[string]struct {
		commands []string
		stays    bool
	}{
		"the reference's":  {[]string{"ip link add veth1a2b3c4d master br0 type veth peer name eth0 netns c1"}, false},
		"not on a bridge":  {[]string{"ip link add veth1a2b3c4d type veth peer name eth0 netns c1"}, true},
		"another bridge":   {[]string{"ip link add br1 type bridge", "ip link add veth1a2b3c4d master br1 type veth peer name eth0 netns c1"}, true},
		"another's mark":   {[]string{"ip link add veth1a2b3c4d master br0 type veth peer name eth0 netns c1", "ip link set veth1a2b3c4d alias docker"}, true},
		"no peer here":     {[]string{"ip -n c1 link add eth0 type veth peer name x"}, true},
		"no veth at all":   {[]string{"ip -n c1 link add eth0 type bridge"}, true},
		"nothing is there": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.apply(br)
				before := h.snapshot()
				for _, command := range c.commands {
					h.run(command)
				}
				if c.stays {
					before = h.snapshot()
				}
				h.must(pair.Undo(h.ctx, h.Site))
				h.same("undone", before)
			})
		})
	}
}

func TestVethOwners(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		h.join("c2", 2)
		two := owner.Of("net", "c2", "eth0")
		h.run("ip\nlink\nadd\nstolen\ntype\nbridge")
		h.run("ip\nlink\nset\nstolen\nalias\n" + owner.Of("net", "c3", "eth0").Tag(owner.AliasRoom)) // not under the name that follows from it
		got, err := pair.Owners(h.ctx, h.Site, one.Network)
		h.must(err)
		want := []firewall.Holder{{Owner: one, Linked: true}, {Owner: two, Linked: true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("owners (-want +got):\n%s", diff)
		}
		if list, err := pair.Owners(h.ctx, h.Site, owner.Network("other")); len(list) != 0 || err != nil {
			t.Errorf("owners of another network: %v, %v", list, err)
		}
	})
}

// Two networks share a bridge: the first comer's settings hold, promiscuous mode is switched on by whoever asks and never off, and to have
// it on, or another MTU, is no drift for one that did not ask.
func TestSharedBridge(t *testing.T) {
	onHost(t, func(h *host) {
		first, second := br, br
		first.MTU, second.MTU, second.Promisc = 1400, 9000, true
		h.apply(first)
		refuses(t, second.Verify(h.ctx, h.Site), fault.Drift, "promiscuous")
		h.apply(second, first)
		h.must(second.Verify(h.ctx, h.Site))
		h.must(first.Verify(h.ctx, h.Site))
		link, err := h.Host.LinkByName("br0")
		h.must(err)
		if mtu := link.Attrs().MTU; mtu != 1400 {
			t.Errorf("mtu %d, want that of who made it", mtu)
		}
	})
}

// An MTU that the kernel refuses is named in the error, and nothing is made.
func TestBadMTU(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		before := h.snapshot()
		bad := pair
		bad.MTU = 67
		_, err := bad.Apply(h.ctx, h.Site)
		refuses(t, err, fault.Internal, "mtu 67", "invalid argument")
		h.same("afterwards", before)
	})
}
