package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

const netnsDir = "/run/netns/"

// netns [-down] NAME...: makes containers: network namespaces under /run/netns, with lo up or, as the kernel leaves it, down.
func netnsCmd(ts *testscript.TestScript, neg bool, args []string) {
	down := len(args) > 0 && args[0] == "-down"
	if down {
		args = args[1:]
	}
	plain(ts, neg, "netns [-down] NAME...", len(args) > 0)
	for _, name := range args {
		nstest.Namespace(fatal{ts: ts}, name)
		if down {
			continue
		}
		ts.Check(nstest.In(netnsDir+name, func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			return netlink.LinkSetUp(lo)
		}))
	}
}

// gone [-wait] NAME...: the container dies, and its namespace with it. The kernel takes a namespace's links away some time later; with
// -wait the script goes on after that.
func goneCmd(ts *testscript.TestScript, neg bool, args []string) {
	wait := len(args) > 0 && args[0] == "-wait"
	if wait {
		args = args[1:]
	}
	plain(ts, neg, "gone [-wait] NAME...", len(args) > 0)
	for _, name := range args {
		if !wait {
			nstest.Remove(fatal{ts: ts}, netnsDir+name)
			continue
		}
		links, events, done := hostEnds(ts, name), make(chan netlink.LinkUpdate), make(chan struct{})
		ts.Check(netlink.LinkSubscribe(events, done))
		nstest.Remove(fatal{ts: ts}, netnsDir+name)
		awaitRemoval(ts, events, links)
		close(done)
	}
}

// hostEnds returns the indexes of the host's ends of the container's veth pairs.
func hostEnds(ts *testscript.TestScript, container string) (indexes []int) {
	ts.Check(nstest.In(netnsDir+container, func() error {
		links, err := netlink.LinkList()
		for _, link := range links {
			if link.Type() == "veth" {
				indexes = append(indexes, link.Attrs().ParentIndex)
			}
		}
		return err
	}))
	return indexes
}

func awaitRemoval(ts *testscript.TestScript, events <-chan netlink.LinkUpdate, indexes []int) {
	deadline := time.After(soon())
	for len(indexes) > 0 {
		select {
		case event := <-events:
			indexes = slices.DeleteFunc(indexes, func(i int) bool { return gone(event, i) })
		case <-deadline:
			ts.Fatalf("links %v did not go", indexes)
		}
	}
}

// gone says whether the event is the end of the link. A port that leaves its bridge is announced likewise, in the bridge's family, while
// the link is still there.
func gone(event netlink.LinkUpdate, index int) bool {
	return event.Header.Type == unix.RTM_DELLINK && event.Family == unix.AF_UNSPEC && event.Link.Attrs().Index == index
}

// router: the host forwards already, as most that run containers do. A plugin switches forwarding on and never off again, which a
// script that compares before with after would stumble over.
func routerCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "router", len(args) == 0)
	for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		ts.Check(os.WriteFile("/proc/sys/net/"+key, []byte("1"), 0o644))
	}
}

// outside NAME: makes a namespace beyond the host's uplink. The host is 192.0.2.1 and 2001:db8::1 there, the other end .2 and ::2. It has
// no route to any container.
func outsideCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "outside NAME", len(args) == 1)
	netnsCmd(ts, false, args)
	ts.Check(space.Uplink(netnsDir + args[0]))
}

// veth VARIABLE CONTAINER IFNAME: sets the variable to the name of the interface's other end, on the host.
func vethCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "veth VARIABLE CONTAINER IFNAME", len(args) == 3)
	var index int
	ts.Check(nstest.In(netnsDir+args[1], func() error {
		link, err := netlink.LinkByName(args[2])
		if err == nil {
			index = link.Attrs().ParentIndex
		}
		return err
	}))
	link, err := netlink.LinkByIndex(index)
	ts.Check(err)
	ts.Setenv(args[0], link.Attrs().Name)
}

// snapshot FILE [CONTAINER...]: writes down the state of the host, its reservations and the containers.
func snapshotCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "snapshot FILE [CONTAINER...]", len(args) > 0)
	var paths []string
	for _, name := range args[1:] {
		paths = append(paths, netnsDir+name)
	}
	text, err := snapshot.Read(paths...)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// same BEFORE [CONTAINER...]: the state is still that of the snapshot, taken of the same containers.
func sameCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "same BEFORE [CONTAINER...]", len(args) > 0)
	snapshotCmd(ts, false, append([]string{".after"}, args[1:]...))
	if diff := snapshot.Diff(ts.ReadFile(args[0]), ts.ReadFile(".after")); diff != "" {
		ts.Fatalf("the state is not that of %s:\n%s", args[0], diff)
	}
}

// differs BEFORE CONTAINER,... TEXT...: each text stands in a line that was not there before, or that was and is not now.
func differsCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "differs BEFORE CONTAINER,... TEXT...", len(args) > 2)
	snapshotCmd(ts, false, append([]string{".after"}, strings.Split(args[1], ",")...))
	diff := snapshot.Diff(ts.ReadFile(args[0]), ts.ReadFile(".after"))
	for _, want := range args[2:] {
		if !strings.Contains(diff, want) {
			ts.Fatalf("%q is not in the difference:\n%s", want, diff)
		}
	}
}

// serve CONTAINER NETWORK ADDRESS...: a server that tells its clients who they are, until the script ends. The container may be "host".
func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "serve CONTAINER NETWORK ADDRESS...", len(args) > 2)
	for _, address := range args[2:] {
		ts.Check(in(args[0], func() error {
			server, err := peer.Serve(args[0], args[1], address)
			if err == nil {
				ts.Defer(func() { server.Close() })
			}
			return err
		}))
	}
}

// setting CONTAINER KEY VALUE: writes the value below /proc/sys of the container's namespace. The container may be "host".
func settingCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "setting CONTAINER KEY VALUE", len(args) == 3)
	ts.Check(in(args[0], func() error { return os.WriteFile("/proc/sys/"+args[1], []byte(args[2]), 0o644) }))
}

// soon bounds how long an answer may take, and impatience how long a script waits to see that none comes.
func soon() time.Duration { return slack.Of(10 * time.Second) }

const impatience = 300 * time.Millisecond

// ask CONTAINER NETWORK ADDRESS: prints the server's answer. With "!" there must be none.
func askCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, false, "ask CONTAINER NETWORK ADDRESS", len(args) == 3)
	wait := soon()
	if neg {
		wait = impatience
	}
	var answer string
	err := in(args[0], func() (err error) {
		answer, err = peer.Ask(args[1], args[2], wait)
		return err
	})
	fmt.Fprint(ts.Stdout(), answer)
	switch {
	case err != nil && !neg:
		ts.Fatalf("no answer: %v", err)
	case err == nil && neg:
		ts.Fatalf("an answer: %s", answer)
	}
}

func in(container string, f func() error) error {
	if container == snapshot.Host {
		return f()
	}
	return nstest.In(netnsDir+container, f)
}

// plain ends the script where a command is misused.
func plain(ts *testscript.TestScript, neg bool, usage string, ok bool) {
	if neg {
		ts.Fatalf("unsupported: ! %s", usage)
	}
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// fatal is a script as package nstest wants it: it only ever ends the test.
type fatal struct {
	testing.TB
	ts *testscript.TestScript
}

func (f fatal) Helper()           {}
func (f fatal) Fatal(args ...any) { f.ts.Fatalf("%s", fmt.Sprint(args...)) }
func (f fatal) Cleanup(g func())  { f.ts.Defer(g) }
func (f fatal) Failed() bool      { return false } // the script says what it has seen
