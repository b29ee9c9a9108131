package site

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/nstest"
)

func TestSidesAreApart(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		s := openIn(t, Options{Netns: nstest.Namespace(t, "c1")})
		must(t, s.Host.Conn.Send(rtnl.NewVeth(rtnl.Veth{Name: "outer", Peer: "inner", PeerNS: s.Container.NS})))
		for _, c := range []struct {
			side  *Side
			name  string
			there bool
		}{{s.Host, "outer", true}, {s.Host, "inner", false}, {s.Container, "inner", true}, {s.Container, "outer", false}} {
			_, err := c.side.LinkByName(c.name)
			if (err == nil) != c.there {
				t.Errorf("%s on the side %s: %v", c.name, c.side, err)
			}
		}
		changed, err := s.Container.SetSysctl("net/ipv4/conf/inner/arp_notify", "1")
		if err != nil || !changed {
			t.Errorf("set: %v, %v", changed, err)
		}
		if changed, err := s.Container.SetSysctl("net/ipv4/conf/inner/arp_notify", "1"); err != nil || changed {
			t.Errorf("set again: %v, %v", changed, err)
		}
		if value, known, err := s.Container.Sysctl("net/ipv4/conf/inner/arp_notify"); value != "1" || !known || err != nil {
			t.Errorf("get: %q, %v, %v", value, known, err)
		}
		if value, known, err := s.Host.Sysctl("net/ipv4/conf/inner/arp_notify"); value != "" || known || err != nil {
			t.Errorf("the container's setting on the host: %q, %v, %v", value, known, err)
		}
	})
}

// The runtime may take the namespace away while a verb works in it. The open side stays usable, and nothing hangs.
func TestContainerDies(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		path := nstest.Namespace(t, "c1")
		s := openIn(t, Options{Netns: path})
		nstest.Remove(t, path)
		must(t, s.Host.Conn.Send(rtnl.NewVeth(rtnl.Veth{Name: "outer", Peer: "inner", PeerNS: s.Container.NS})))
		_, err := s.Container.LinkByName("inner")
		must(t, err)
		if _, known, err := s.Container.Sysctl("net/ipv4/conf/inner/arp_notify"); !known || err != nil {
			t.Errorf("sysctl of a namespace without a name: %v, %v", known, err)
		}
		events, err := s.Container.Watch(rtnl.Links)
		must(t, err)
		events.Close()
		if _, err := Open(Options{Netns: path}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("opened anew: %v", err)
		}
	})
}

func TestNoNamespace(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		file := t.TempDir() + "/file"
		must(t, os.WriteFile(file, []byte("x"), 0o600))
		if _, err := Open(Options{Netns: file}); !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "sandbox "+file+": ") {
			t.Errorf("a plain file: %v", err)
		}
		if s := openIn(t, Options{}); s.Container != nil {
			t.Error("a container's side without a namespace")
		}
	})
}

func TestFilterIsOpenedOnce(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		calls := 0
		s := openIn(t, Options{Filter: func() (firewall.Filter, error) { calls++; return nil, errors.New("none here") }})
		if _, err := s.Filter(); err == nil || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
		if _, err := openIn(t, Options{}).Filter(); err == nil {
			t.Error("a filter for a plugin that has none")
		}
		var said string
		openIn(t, Options{Logf: func(format string, _ ...any) { said = format }}).Logf("x")
		openIn(t, Options{}).Logf("x")
		if said != "x" {
			t.Errorf("logged %q", said)
		}
	})
}
