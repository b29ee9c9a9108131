package attach

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

const (
	early   = `,"ipam":{"type":"host-local"}`
	late    = `,"ipam":{"type":"dhcp"}`
	address = `{"cniVersion":"1.1.0","ips":[{"address":"10.1.0.2/24"}]}`
	refusal = `{"cniVersion":"1.1.0","code":101,"msg":"range set 0: full","details":"make it bigger"}`
)

var (
	errBroken = errors.New("broken")
	ctx       = context.Background()
)

func TestAddAndDel(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		out, err := b.call(ctx, "ADD", early)
		if b.done(out, err); !strings.Contains(out, "10.1.0.2/24") {
			t.Errorf("result %s", out)
		}
		b.diary("ipam ADD", "apply link", "apply address")
		b.done(b.call(ctx, "CHECK", early+`,"prevResult":`+address))
		b.diary("ipam CHECK")
		b.done(b.call(ctx, "DEL", early))
		b.diary("undo address", "undo link", "ipam DEL")
		b.done(b.call(ctx, "DEL", early))
		b.diary("undo address", "undo link", "ipam DEL")
	})
}

// A delegate that may look at the interface is asked when that is there, and told of the end while it still is.
func TestLateDelegate(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("dhcp", "ADD", address, false)
		b.done(b.call(ctx, "ADD", late))
		b.diary("apply link", "ipam ADD", "apply link", "apply address")
		b.done(b.call(ctx, "DEL", late))
		b.diary("ipam DEL", "undo address", "undo link")
		b.delegate("dhcp", "ADD", refusal, true)
		_, err := b.call(ctx, "ADD", late)
		b.refused(err, fault.Exhausted, "dhcp: range set 0: full")
		b.diary("apply link", "ipam ADD", "ipam DEL", "undo link")
	})
}

// Nothing is made, and the delegate's code and remedy are kept.
func TestDelegateRefuses(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", refusal, true)
		_, err := b.call(ctx, "ADD", early)
		b.refused(err, fault.Exhausted, "host-local: range set 0: full")
		if err.Hint != "make it bigger" {
			t.Errorf("details %q", err.Hint)
		}
		b.diary("ipam ADD", "ipam DEL")
	})
}

// Who was there before keeps what he has: the delegate is not even asked.
func TestGuardRefuses(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		b.fails["guard address"] = fault.New(fault.Taken, "", "exists already")
		_, err := b.call(ctx, "ADD", early)
		b.refused(err, fault.Taken, "address: exists already")
		b.diary()
	})
}

func TestStepFails(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		b.fails["apply address"] = errBroken
		_, err := b.call(ctx, "ADD", early)
		b.refused(err, fault.Internal, "address: broken")
		b.diary("ipam ADD", "apply link", "apply address", "undo link", "ipam DEL")
	})
}

// While the container may still use its address, or anything else of it is there, nobody else gets the address.
func TestAddressIsKept(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		b.fails["apply address"], b.fails["undo link"] = errBroken, errBroken
		_, err := b.call(ctx, "ADD", early)
		b.refused(err, fault.Internal, "address: broken", "link: broken", "the container's interface remains")
		b.diary("ipam ADD", "apply link", "apply address", "undo link")
		_, err = b.call(ctx, "DEL", early)
		b.refused(err, fault.Internal, "link: broken")
		b.diary("undo address", "undo link")
		delete(b.fails, "undo link")
		b.fails["undo address"] = errBroken
		for _, b.netns = range []string{b.netns, ""} {
			_, err = b.call(ctx, "DEL", early)
			b.refused(err, fault.Internal, "address: broken")
			b.diary("undo address", "undo link")
		}
		delete(b.fails, "undo address")
		b.done(b.call(ctx, "DEL", early))
		b.diary("undo address", "undo link", "ipam DEL")
	})
}

// Nothing else holds the address back, and that it is not taken back is an error.
func TestAddressIsReleased(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		_, err := b.call(ctx, "DEL", early+`,"number":"x"`)
		if err != nil {
			b.Error(err)
		}
		b.diary("undo address", "undo link", "ipam DEL")
		b.delegate("host-local", "DEL", refusal, true)
		_, err = b.call(ctx, "DEL", early)
		b.refused(err, fault.Exhausted, "full")
		b.diary("undo address", "undo link", "ipam DEL")
	})
}

// A result that the version cannot express is found when all is made, and all is undone (B12).
func TestPrintFails(t *testing.T) {
	onBench(t, func(b *bench) {
		_, err := b.call(ctx, "ADD", `,"cniVersion":"0.2.0"`)
		b.refused(err, fault.Version, "0.2.0")
		b.diary("apply link", "apply address", "undo address", "undo link")
	})
}

// A SIGTERM stops between two steps, undoes what was made, and says so.
func TestInterrupted(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		short, cancel := context.WithCancel(ctx)
		defer cancel()
		b.during = cancel
		_, err := b.call(short, "ADD", early)
		b.refused(err, fault.Interrupted, "address: not begun")
		b.diary("ipam ADD", "apply link", "undo link", "ipam DEL")
	})
}

// A DEL goes on with a configuration that no ADD would take, with a prevResult that is none, without a namespace.
func TestDelGoesOn(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", address, false)
		for _, config := range []string{`,"number":"x"`, `,"prevResult":7`, `,"prevResult":{"cniVersion":"0.4.0"}`} {
			b.done(b.call(ctx, "DEL", early+config))
			b.diary("undo address", "undo link", "ipam DEL")
		}
		_, err := b.call(ctx, "ADD", early+`,"number":"x"`)
		b.refused(err, fault.Config, "number")
		b.netns = "/run/netns/gone"
		b.done(b.call(ctx, "DEL", early))
		_, err = b.call(ctx, "ADD", early)
		b.refused(err, fault.Namespace, "/run/netns/gone")
		b.diary("undo address", "undo link", "ipam DEL")
	})
}

// The host's own namespace is never entered: what is ours on the host or with the delegate goes by its name; nothing of ours is a mistake
// of the caller.
func TestDelOfHost(t *testing.T) {
	onBench(t, func(b *bench) {
		b.netns = "/proc/thread-self/ns/net"
		b.holders = []firewall.Holder{{Owner: owner.Of("net", "c2", "eth0")}}
		b.delegate("host-local", "CHECK", refusal, true)
		for _, verb := range []string{"DEL", "ADD"} {
			_, err := b.call(ctx, verb, "")
			b.refused(err, fault.Namespace, "the host's own network namespace")
		}
		b.diary()
		_, err := b.call(ctx, "DEL", early)
		b.refused(err, fault.Namespace, "the host's own network namespace")
		b.diary("ipam CHECK")
		b.holders = append(b.holders, firewall.Holder{Owner: owner.Of("net", "c1", "eth0")})
		b.done(b.call(ctx, "DEL", ""))
		b.diary("undo address", "undo link")
		b.holders = nil
		b.delegate("host-local", "ADD", address, false) // it has a reservation, as its CHECK says
		b.done(b.call(ctx, "DEL", early))
		b.diary("ipam CHECK", "undo address", "undo link", "ipam DEL")
	})
}

func TestChained(t *testing.T) {
	onBench(t, func(b *bench) {
		b.place = After
		for _, verb := range []string{"ADD", "CHECK"} {
			_, err := b.call(ctx, verb, "")
			b.refused(err, fault.Config, "prevResult: missing", verb)
		}
		b.diary()
		out, err := b.call(ctx, "ADD", `,"prevResult":`+address)
		if b.done(out, err); !strings.Contains(out, "10.1.0.2/24") {
			t.Errorf("result %s", out)
		}
		b.done(b.call(ctx, "DEL", ""))
		b.diary("apply link", "apply address", "undo address", "undo link")
	})
}

// A plugin that may stand anywhere passes on what came before it, and makes a result of its own where nothing did.
func TestAnywhere(t *testing.T) {
	onBench(t, func(b *bench) {
		b.place = Anywhere
		for _, verb := range []string{"ADD", "CHECK", "DEL"} {
			b.done(b.call(ctx, verb, ""))
		}
		b.diary("apply link", "apply address", "undo address", "undo link")
		out, err := b.call(ctx, "ADD", `,"prevResult":`+address)
		if b.done(out, err); !strings.Contains(out, "10.1.0.2/24") {
			t.Errorf("result %s", out)
		}
	})
}

func TestCheckListsAll(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "CHECK", refusal, true)
		drift := fault.New(fault.Drift, "", "found down")
		b.fails["verify link"], b.fails["verify address"] = drift, drift
		_, err := b.call(ctx, "CHECK", early+`,"prevResult":`+address)
		b.refused(err, fault.Drift, "link: found down", "address: found down", "host-local: range set 0: full")
		b.diary("ipam CHECK")
	})
}

func TestStatus(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "STATUS", refusal, true)
		_, err := b.call(ctx, "STATUS", early)
		b.refused(err, fault.Exhausted, "full")
		b.diary("ipam STATUS")
		b.done(b.call(ctx, "STATUS", ""))
		_, err = b.call(ctx, "STATUS", `,"number":10`)
		b.refused(err, fault.NoService, "not ready: number: 10")
		b.fails["ready address"] = fault.New(fault.Unsupported, "load it", "nf_tables: missing")
		if _, err = b.call(ctx, "STATUS", early); err.Hint != "load it" {
			t.Errorf("details %q", err.Hint)
		}
		b.refused(err, fault.NoService, "nf_tables: missing")
		b.diary()
	})
}

// GC removes who is not in the runtime's list; without one, who is provably dead; and it lets the delegate do the same.
func TestGC(t *testing.T) {
	one, two, old := owner.Of("net", "c1", "eth0"), owner.Of("net", "c2", "eth0"), owner.Of("net", "c3", "eth0")
	for config, buried := range map[string]int{
		`,"cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"},{"containerID":"c2","ifname":"eth0"}]`: 1,
		`,"cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth1"}]`:                                      3,
		`,"cni.dev/valid-attachments":[]`:   3,
		`,"cni.dev/valid-attachments":null`: 3,
		``:                                  2, // the two whose links are gone
	} {
		t.Run(config, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.delegate("host-local", "GC", "", false)
				b.holders = []firewall.Holder{{Owner: one}, {Owner: two, Linked: true}, {Owner: old, Linked: true}}
				b.done(b.call(ctx, "GC", early+config))
				var want []string
				for range buried {
					want = append(want, "undo address", "undo link")
				}
				b.diary(append(want, "ipam GC")...)
			})
		})
	}
}

// Who waits in vain for a lock says so when the call's time is up, and does not wait for it again to release what there is not.
func TestWaitsOnce(t *testing.T) {
	onBench(t, func(b *bench) {
		b.delegate("host-local", "ADD", `{"cniVersion":"1.1.0","code":11,"msg":"locked by process 7"}`, true)
		_, err := b.call(ctx, "ADD", early)
		b.refused(err, fault.TryLater, "locked by process 7")
		b.diary("ipam ADD")
		s, opened := site.Open(site.Options{})
		if opened != nil {
			t.Fatal(opened)
		}
		defer s.Close()
		lock, held := s.LockOwner(ctx, owner.Of("net", "c1", "eth0"))
		if held != nil {
			t.Fatal(held)
		}
		defer lock.Unlock()
		b.holders = []firewall.Holder{{Owner: owner.Of("net", "c1", "eth0")}, {Owner: owner.Of("net", "c2", "eth0")}}
		for verb, diary := range map[string][]string{"ADD": nil, "DEL": nil, "GC": {"undo address", "undo link", "ipam GC"}} {
			short, cancel := context.WithTimeout(ctx, deadline.Undo+500*time.Millisecond) // a GC keeps as much for who comes after
			if verb != "GC" {
				short, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
			}
			_, err := b.call(short, verb, early+`,"cni.dev/valid-attachments":[]`)
			b.refused(err, fault.TryLater, "owners.lock")
			b.diary(diary...)
			cancel()
		}
	})
}
