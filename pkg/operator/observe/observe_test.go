package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

var must = nstest.Must

// read reads the host, and leaves out the namespaces of other tests' processes, which come and go.
func read(t testing.TB) *Host {
	t.Helper()
	host, err := Read(t.Context(), Options{})
	must(t, err)
	return ownOnly(host)
}

func ownOnly(h *Host) *Host {
	h.Namespaces = slices.DeleteFunc(h.Namespaces, func(n *Namespace) bool { return !n.Host && len(n.Paths) == 0 })
	return h
}

// container makes a namespace whose eth0 leads to a link of the host, both up, with an address.
func container(t testing.TB, name string) string {
	t.Helper()
	path := nstest.Namespace(t, name)
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "to" + name}, PeerName: "eth0",
		PeerNamespace: netlink.NsFd(int(file.Fd()))}))
	host, err := netlink.LinkByName("to" + name)
	must(t, err)
	must(t, netlink.LinkSetUp(host))
	must(t, nstest.In(path, func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr("10.9.0.2/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	}))
	return path
}

// text is the host as JSON, without what the kernel goes on to change by itself.
func text(t *testing.T, h *Host) string {
	t.Helper()
	for _, n := range h.Namespaces {
		n.Neighbours, n.Conntrack, n.Processes = nil, 0, nil
		for _, l := range n.Links {
			l.Running, l.Port = false, nil
			l.Addresses = slices.DeleteFunc(l.Addresses, func(a Address) bool { return a.Prefix.Addr().Is6() })
		}
		n.Routes = slices.DeleteFunc(n.Routes, func(r Route) bool { return r.Destination.Addr().Is6() })
	}
	out, err := json.MarshalIndent(h, "", " ")
	must(t, err)
	return string(out)
}

func write(t testing.TB, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(text), 0o644))
}

// Two reads of a host that did not change are equal, and both ends of a pair name each other across namespaces.
func TestTwoReadsAreEqual(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		container(t, "a")
		container(t, "b")
		first, second := read(t), read(t)
		if diff := cmp.Diff(text(t, first), text(t, second)); diff != "" {
			t.Errorf("second read:\n%s", diff)
		}
		for _, name := range []string{"a", "b"} {
			out := first.Own().Named("to" + name)
			if out == nil || first.Link(out.Peer) == nil || first.Link(out.Peer).Peer != out.ID {
				t.Errorf("link to%s: %+v, want a peer that names it", name, out)
			}
		}
		if len(first.Problems) > 0 {
			t.Errorf("problems: %v", first.Problems)
		}
	})
}

// What is torn, strange or no namespace at all is named, and hides nothing else.
func TestWhatCannotBeRead(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		container(t, "a")
		write(t, "", "/run/netns/nothing")
		write(t, `{"kind":"cniCacheV1","containerId":"c1","networkNa`, "/var/lib/cni/results/net-c1-eth0")
		write(t, "", "/var/lib/cni/networks/net/10.1.0.2")
		write(t, "c2\r\neth0", "/var/lib/cni/networks/net/10.1.0.3")
		write(t, "c\x1b[31m3\r\neth0", "/var/lib/cni/networks/net/10.1.0.4")
		strange := "\x1b[31m\u202e<&>"
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: strange}, PeerName: "peer"}))
		nstest.Namespace(t, "s<p>\x1b\"a")
		host := read(t)
		if len(host.Namespaces) != 3 || host.Own().Named(strange) == nil || host.Own().Named("toa") == nil {
			t.Errorf("%d namespaces, links %v", len(host.Namespaces), host.Own().Links)
		}
		if len(host.Problems) == 0 || !strings.Contains(fmt.Sprint(host.Problems), "net-c1-eth0") {
			t.Errorf("problems: %v, want the torn result", host.Problems)
		}
		held := make(map[string]string)
		for _, v := range host.Reservations {
			held[v.Address.String()] = v.ContainerID
		}
		if want := map[string]string{"10.1.0.2": "", "10.1.0.3": "c2", "10.1.0.4": ""}; !cmp.Equal(held, want) {
			t.Errorf("reservations: %v, want %v", held, want)
		}
	})
}

// Without rights, a namespace is there and says why it was not entered, and the packet filter is a problem.
func TestWithoutRights(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		container(t, "a")
		host := withoutRights(t)
		if len(host.Namespaces) != 2 || !strings.Contains(host.Namespaces[1].Closed, "not permitted") {
			t.Fatalf("namespaces: %+v, want one that says why it was not entered", host.Namespaces)
		}
		if l := host.Own().Named("toa"); l == nil || !l.PeerHidden {
			t.Errorf("link toa: %+v, want it with a peer that is hidden", l)
		}
		if !strings.Contains(fmt.Sprint(host.Problems), "packet filter of host") || host.Own().Filter != nil {
			t.Errorf("problems: %v, want the packet filter", host.Problems)
		}
	})
}

// TestMain is also the process of withoutRights, which reads and prints what it read.
func TestMain(m *testing.M) {
	if os.Getenv("OBSERVE") == "" {
		os.Exit(m.Run())
	}
	host, err := Read(context.Background(), Options{})
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(host)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

// withoutRights reads in a process that has no capability, and is root by name alone.
func withoutRights(t *testing.T) *Host {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"OBSERVE=1"}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with it: the rights are this thread's, and what it starts has no more
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		started <- errors.Join(unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0), unix.Capset(&header, &none[0]), cmd.Start())
	}()
	must(t, <-started)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("read without rights: %v: %s", err, complaints.Bytes())
	}
	host := &Host{}
	must(t, json.Unmarshal(out.Bytes(), host))
	return ownOnly(host)
}

// noRoot is SECBIT_NOROOT of include/uapi/linux/securebits.h: who is root gets no capability by an exec.
const noRoot = 1 << 0

// Namespaces come and go while the host is read: there is always a picture, and what stays is in it.
func TestWhileNamespacesComeAndGo(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		container(t, "stays")
		stop := make(chan struct{})
		var all sync.WaitGroup
		for i := range 2 {
			all.Add(1)
			go func() {
				defer all.Done()
				for round := 0; ; round++ {
					select {
					case <-stop:
						return
					default:
						nstest.Remove(t, container(t, fmt.Sprintf("c%d-%d", i, round)))
					}
				}
			}()
		}
		for range 20 {
			host := read(t)
			if host.Own().Named("tostays") == nil || host.Link(host.Own().Named("tostays").Peer) == nil {
				t.Errorf("what stays was not seen whole: %+v", host.Own().Named("tostays"))
			}
		}
		close(stop)
		all.Wait()
	})
}

// A host of many links is read whole: 10,000 of them in a long run.
func TestManyLinks(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		pairs := 100
		if os.Getenv("TRESTLE_LONG") != "" {
			pairs = 5000
		}
		for i := range pairs {
			must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("a%d", i)}, PeerName: fmt.Sprintf("b%d", i)}))
		}
		links := read(t).Own().Links
		if len(links) != 2*pairs+1 {
			t.Errorf("%d links, want %d", len(links), 2*pairs+1)
		}
		for _, l := range links {
			if l.Name != "lo" && l.Peer == "" {
				t.Errorf("%s has no other end", l.Name)
			}
		}
	})
}
