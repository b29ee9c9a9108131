package hosts

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// pod is a container, which answers on port 80 with the address that it sees.
type pod struct {
	host  *host
	name  string
	addrs []netip.Addr
}

// add attaches the container to the network.
func (h *host) add(name string) pod {
	h.w.t.Helper()
	p := h.parse(name, []byte(h.do(program("cnitool"), "add", "pods", "/run/netns/"+name)))
	h.w.run("ip", "-n", name, "link", "set", "lo", "up")
	h.w.serve(name)
	return p
}

// parse reads what an ADD has answered.
func (h *host) parse(name string, result []byte) pod {
	h.w.t.Helper()
	var said struct {
		IPs []struct{ Address netip.Prefix }
	}
	must(h.w.t, json.Unmarshal(result, &said))
	p := pod{host: h, name: name}
	for _, ip := range said.IPs {
		p.addrs = append(p.addrs, ip.Address.Addr())
	}
	return p
}

// serve answers in the namespace, until the test's end.
func (w *world) serve(ns string) {
	w.t.Helper()
	must(w.t, nstest.In("/run/netns/"+ns, func() error {
		l, err := net.Listen("tcp", "[::]:80")
		if err != nil {
			return err
		}
		w.t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go answer(c)
			}
		}()
		return nil
	}))
}

// bulk is more than one packet has room for, and than a window.
const bulk = 1 << 20

// answer says who calls, and then much.
func answer(c net.Conn) {
	defer c.Close()
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	fmt.Fprintf(c, "%s\n%s", strings.TrimPrefix(host, "::ffff:"), strings.Repeat("x", bulk))
}

// call is who is seen where the address is called from the namespace.
func call(ns string, to netip.Addr) (seen string, err error) {
	err = nstest.In("/run/netns/"+ns, func() error {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, 80).String(), slack.Of(2*time.Second))
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(slack.Of(5 * time.Second))); err != nil {
			return err
		}
		text, err := io.ReadAll(c)
		seen, _, _ = strings.Cut(string(text), "\n")
		if err == nil && len(text) != bulk+len(seen)+1 {
			err = fmt.Errorf("only %d bytes came", len(text))
		}
		return err
	})
	return seen, err
}

// reaches holds that from the namespace the address answers, and sees one of these.
func reaches(ns string, to netip.Addr, as ...netip.Addr) error {
	seen, err := call(ns, to)
	if err != nil {
		return fmt.Errorf("%s to %s: %w", ns, to, err)
	}
	for _, addr := range as {
		if seen == addr.String() {
			return nil
		}
	}
	return fmt.Errorf("%s to %s: is seen as %s, not as %v", ns, to, seen, as)
}

// mesh holds that all containers reach each other, as themselves, by both families, and that the outside sees their hosts.
func (w *world) mesh(pods ...pod) error {
	for _, from := range pods {
		for _, to := range pods {
			for _, addr := range to.addrs {
				if err := reaches(from.name, addr, from.addrs...); err != nil {
					return err
				}
			}
		}
		for _, outside := range []string{"192.0.2.100", "2001:db8::100"} {
			if err := reaches(from.name, netip.MustParseAddr(outside), from.host.via...); err != nil {
				return err
			}
		}
	}
	return nil
}
