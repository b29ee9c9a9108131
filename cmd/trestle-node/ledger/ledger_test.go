package ledger

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
)

// places are on a tmpfs: each test has a directory of its own.
func places(t *testing.T) Places {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ledger")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Places{Network: "pods", Ledger: dir + "/disk/pods.json", Ranges: dir + "/run/pods.json", Data: dir + "/books"}
}

func open(t *testing.T, p Places) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), p, "n1")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func four(i uint32) pool.ID { return pool.ID{Family: 4, Index: i} }

// with is the content with these blocks open.
func with(c Content, open ...pool.ID) Content {
	c.Pool = pool.Definition{CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, BlockSize: pool.Sizes{IPv4: 26}, Shape: pool.Routed}
	c.State.Blocks = nil
	for _, id := range open {
		c.State.Blocks = append(c.State.Blocks, protocol.Block{ID: id, Phase: protocol.Open, Epoch: 7})
	}
	return c
}

func keep(t *testing.T, l *Ledger, c Content) {
	t.Helper()
	if err := l.Keep(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// handedOut is what host-local reads.
func handedOut(t *testing.T, p Places) string {
	t.Helper()
	text, err := os.ReadFile(p.Ranges)
	if err != nil {
		t.Fatal(err)
	}
	var r ranges
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, set := range r.Ranges {
		for _, one := range set {
			list = append(list, one.Subnet.String())
		}
	}
	return strings.Join(list, " ")
}

func TestBlocksLastAsLongAsTheBoot(t *testing.T) {
	p := places(t)
	l := open(t, p)
	keep(t, l, with(l.Content, four(0), four(2)))
	if got := handedOut(t, p); got != "10.0.0.0/26 10.0.0.128/26" {
		t.Fatal(got)
	}
	if _, err := Open(context.Background(), p, "n1"); fault.Code(err) != fault.Taken {
		t.Errorf("a second program has the ledger: %v", err)
	}
	l.Close()
	l = open(t, p)
	if b := l.State.Block(four(2)); b.Phase != protocol.Open || b.Epoch != 7 || handedOut(t, p) != "10.0.0.0/26 10.0.0.128/26" {
		t.Errorf("after the agent: %+v, %s", b, handedOut(t, p))
	}
	l.Close()

	reboot(t, p)
	l = open(t, p)
	defer l.Close()
	if b := l.State.Block(four(2)); b.Phase != protocol.Closed || b.Epoch != 7 || handedOut(t, p) != "" {
		t.Errorf("after a reboot: %+v, %s", b, handedOut(t, p))
	}
}

// reboot makes what is on disk that of another boot. What host-local reads is left: should it be, it counts for nothing.
func reboot(t *testing.T, p Places) {
	t.Helper()
	text, err := os.ReadFile(p.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Ledger, []byte(strings.ReplaceAll(string(text), boot, "another")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A block out of which something is reserved is not closed, and the other goes without its neighbour.
func TestCloseUnused(t *testing.T) {
	p, ctx := places(t), context.Background()
	l := open(t, p)
	defer l.Close()
	keep(t, l, with(l.Content, four(0), four(2)))
	books, err := ipam.Open(ctx, p.Data, p.Network, true)
	if err != nil {
		t.Fatal(err)
	}
	set := ipam.Set{ipam.Whole(netip.MustParsePrefix("10.0.0.128/26"))}
	if _, err := books.Allocate(0, set, netip.Addr{}, ipam.Attachment{Holder: ipam.Holder{ContainerID: "c", IfName: "eth0"}}); err != nil {
		t.Fatal(err)
	}
	books.Close()
	for id, want := range map[pool.ID]bool{four(2): false, four(0): true} {
		if closed, err := l.CloseUnused(ctx, id); err != nil || closed != want {
			t.Errorf("%s: closed %v, %v", id, closed, err)
		}
	}
	if got := handedOut(t, p); got != "10.0.0.128/26" {
		t.Errorf("host-local has %s", got)
	}
	used, err := l.Usage()
	if err != nil || used[four(2)] != 1 || len(used) != 1 {
		t.Errorf("in use: %v, %v", used, err)
	}
	if unused, err := l.Unused(ctx, four(2)); unused || err != nil {
		t.Errorf("a block in use is unused: %v", err)
	}
}

// Whoever waits for host-local's lock finds the block gone: it is taken out under it.
func TestCloseWaitsForTheLock(t *testing.T) {
	p := places(t)
	l := open(t, p)
	defer l.Close()
	keep(t, l, with(l.Content, four(0)))
	books, err := ipam.Open(context.Background(), p.Data, p.Network, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := l.Keep(ctx, with(l.Content)); err == nil || l.State.Block(four(0)).Phase != protocol.Open || handedOut(t, p) != "10.0.0.0/26" {
		t.Errorf("a block is closed while an ADD is under way: %v", err)
	}
	books.Close()
	keep(t, l, with(l.Content))
	if got := handedOut(t, p); got != "" {
		t.Errorf("host-local has %s", got)
	}
}

// A ledger that is torn is put aside, and nothing is believed; one of a later version, another network or another host is refused.
func TestDamage(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(string) string
		want string
	}{
		"half":     {func(s string) string { return s[:len(s)/2] }, "torn"},
		"empty":    {func(string) string { return "" }, "torn"},
		"zeros":    {func(s string) string { return strings.Repeat("\x00", len(s)) }, "torn"},
		"no phase": {func(s string) string { return strings.Replace(s, `"phase": "open"`, `"phrase": "open"`, 1) }, "torn"},
		"twice": {func(s string) string {
			from, to := strings.Index(s, `"blocks": [`)+len(`"blocks": [`), strings.LastIndex(s, "]")
			return s[:to] + "," + s[from:to] + s[to:]
		}, "torn"},
		"another pool": {func(s string) string { return strings.Replace(s, `"ipv4": 26`, `"ipv4": 260`, 1) }, "torn"},
		"no pool":      {func(s string) string { return strings.Replace(s, `"cidrs"`, `"cidr"`, 1) }, "torn"},
		"newer":        {func(s string) string { return strings.Replace(s, `"version": 1`, `"version": 2`, 1) }, "version 2"},
		"network":      {func(s string) string { return strings.Replace(s, `"network": "pods"`, `"network": "web"`, 1) }, "is of network web"},
		"renamed":      {func(s string) string { return strings.Replace(s, `"node": "n1"`, `"node": "n2"`, 1) }, "is of node n2"},
	} {
		p := places(t)
		l := open(t, p)
		keep(t, l, with(l.Content, four(0)))
		l.Close()
		text, err := os.ReadFile(p.Ledger)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.Ledger, []byte(c.do(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err = Open(context.Background(), p, "n1")
		if c.want != "torn" {
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.Hint(err) == "" {
				t.Errorf("%s: %v, want %q and a remedy", name, err, c.want)
			}
			continue
		}
		if err != nil || l.Damaged == nil || len(l.State.Blocks) > 0 || handedOut(t, p) != "" {
			t.Fatalf("%s: %v, %+v, host-local has %s", name, err, l, handedOut(t, p))
		}
		l.Close()
		if _, err := os.Stat(p.Ledger + ".damaged"); err != nil {
			t.Error(err)
		}
	}
}

// On a full disk nothing changes: what is closed is not handed out, what is opened is not yet, and the agent may start again.
func TestFullDisk(t *testing.T) {
	p, ctx := places(t), context.Background()
	l := open(t, p)
	keep(t, l, with(l.Content, four(0), four(1)))
	full(t, p.Ledger, true)
	if err := l.Keep(ctx, with(l.Content, four(1), four(2))); err == nil || fault.Code(err) != fault.IO {
		t.Fatalf("the ledger is written nowhere: %v", err)
	}
	if l.State.Block(four(2)).Phase != 0 || l.State.Block(four(0)).Phase != protocol.Open || handedOut(t, p) != "10.0.0.64/26" {
		t.Errorf("after the error: %+v, host-local has %s", l.State.Blocks, handedOut(t, p))
	}
	l.Close()
	full(t, p.Ledger, true)
	l = open(t, p)
	defer l.Close()
	if got := handedOut(t, p); got != "10.0.0.0/26 10.0.0.64/26" {
		t.Errorf("a start on a full disk: host-local has %s", got)
	}
	full(t, p.Ledger, false)
	full(t, p.Ranges, true) // its memory is, not the disk
	if err := l.Keep(ctx, with(l.Content, four(1), four(2))); fault.Code(err) != fault.IO || fault.Hint(err) == "" {
		t.Fatalf("what host-local reads is written nowhere: %v", err)
	}
	if got := handedOut(t, p); got != "10.0.0.0/26 10.0.0.64/26" || l.State.Block(four(0)).Phase != protocol.Open {
		t.Errorf("after the error: host-local has %s, and the ledger %+v", got, l.State.Blocks)
	}
	full(t, p.Ranges, false)
	keep(t, l, with(l.Content, four(1), four(2)))
	if got := handedOut(t, p); got != "10.0.0.64/26 10.0.0.128/26" {
		t.Errorf("with room again: host-local has %s", got)
	}
}

// full lets no writing of the file begin, as on a disk that is full.
func full(t *testing.T, path string, is bool) {
	t.Helper()
	half := path + ".half"
	err := os.RemoveAll(half)
	if is {
		err = os.MkdirAll(filepath.Join(half, "full"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A host with one family of two has none: a container would never get the other.
func TestBothFamiliesOrNone(t *testing.T) {
	p := places(t)
	l := open(t, p)
	defer l.Close()
	c := with(l.Content, four(0))
	c.Pool.CIDRs = append(c.Pool.CIDRs, netip.MustParsePrefix("fd00::/112"))
	c.Pool.BlockSize.IPv6 = 120
	keep(t, l, c)
	if got := handedOut(t, p); got != "" {
		t.Errorf("host-local has %s, and no IPv6", got)
	}
	c.State.Blocks = append(c.State.Blocks, protocol.Block{ID: pool.ID{Family: 6, Index: 1}, Phase: protocol.Open, Epoch: 9})
	keep(t, l, c)
	if got := handedOut(t, p); got != "10.0.0.0/26 fd00::100/120" {
		t.Errorf("host-local has %s", got)
	}
}

// What this boot may hand out is nowhere where it would outlive it.
func TestRangesAreForgotten(t *testing.T) {
	dir := t.TempDir()
	var system unix.Statfs_t
	if err := unix.Statfs(dir, &system); err != nil {
		t.Fatal(err)
	}
	if system.Type == unix.TMPFS_MAGIC {
		dir = "/proc"
	}
	p := places(t)
	p.Ranges = filepath.Join(dir, "blocks/pods.json")
	if _, err := Open(context.Background(), p, "n1"); fault.Code(err) != fault.Config || !strings.Contains(err.Error(), "must be on a tmpfs") {
		t.Errorf("ranges on a disk: %v", err)
	}
}
