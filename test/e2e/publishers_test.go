package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// find returns what all clients find on one host, a line a cell.
func find(t *testing.T, bridge, backend string) string {
	for _, key := range []string{"iptables", "ip6tables"} {
		must(t, os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+key, []byte(bridge), 0o644))
	}
	w := newStreet(t)
	names := []string{"two", "far"}
	for i := range keysOfPorts {
		names = append(names, publisher(i))
	}
	w.settle(backend, names)
	var cells []*cell
	for i, keys := range keysOfPorts {
		refused := w.publish(i, fmt.Sprintf(`%s, "backend": %q`, keys, backend))
		for _, c := range clients() {
			for _, is4 := range []bool{true, false} {
				cells = append(cells, w.row(c, is4, i, refused)...)
			}
		}
	}
	w.askAll(cells)
	w.foretold(cells)
	var lines []string
	for _, c := range cells {
		lines = append(lines, c.text())
	}
	return strings.Join(lines, "\n")
}

// settle puts the containers on one bridge, and the one that is far on another.
func (w *street) settle(backend string, names []string) {
	w.Helper()
	masquerade := fmt.Sprintf(`"isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": %q, `, backend)
	for _, name := range names {
		w.container(name)
		config := network(masquerade + `"hairpinMode": true, ` + hostLocal(subnet+`], [{"subnet": "fd00:1::/64"}`))
		if name == "far" {
			config = network(`"name": "far", "bridge": "cni1", ` + masquerade + hostLocal(`{"subnet": "10.2.0.0/24"}], [{"subnet": "fd00:2::/64"}`))
		}
		w.attach(name, config)
	}
}

// publish publishes a port of each kind. It returns those that portmap refuses, as hostIP and port.
func (w *street) publish(number int, keys string) (refused []string) {
	w.Helper()
	name := publisher(number)
	var mappings []string
	for _, protocol := range protocols {
		for _, c := range columns() {
			for _, ip := range c.ips {
				port := c.port + 100*number
				m := mapping(protocol, port, 80, fmt.Sprintf(`, "hostIP": %q`, ip))
				if w.refuses(name, keys, m) {
					refused = append(refused, net.JoinHostPort(ip, fmt.Sprint(port)))
				} else {
					mappings = append(mappings, m)
				}
			}
		}
		for _, is4 := range []bool{true, false} {
			port, ip := otherFamily(is4)
			mappings = append(mappings, mapping(protocol, port+100*number, 80, fmt.Sprintf(`, "hostIP": %q`, ip)))
		}
		for _, at := range []string{"0.0.0.0:80", "[::]:80"} {
			w.serve(name, protocol+familyOf(protocol, at), at)
		}
	}
	succeed(w.T, "ADD", "portmap", name, w.ports(name, keys, mappings...))
	return refused
}

// refuses asks for a port of the loopback by itself. It must be published, or refused with a reason and without a trace.
func (w *street) refuses(container, keys, mapping string) bool {
	w.Helper()
	if !strings.Contains(mapping, `"127.0.0.1"`) && !strings.Contains(mapping, `"::1"`) {
		return false
	}
	before := snapshot.Take(w)
	config := w.ports(container, keys, mapping)
	got, err := invoke("ADD", "portmap", container, config)
	must(w.T, err)
	if got.Status == 0 {
		succeed(w.T, "DEL", "portmap", container, config)
		return false
	}
	if got.Code != fault.Config && got.Code != fault.Unsupported || !strings.Contains(got.Msg, "answer") {
		w.Errorf("%s: refused with %+v", mapping, got)
	}
	if diff := snapshot.Diff(before, snapshot.Take(w)); diff != "" {
		w.Errorf("%s: refused, and left\n%s", mapping, diff)
	}
	return true
}

// familyOf keeps a socket for :: from taking IPv4 as well.
func familyOf(protocol, address string) string {
	switch {
	case protocol == "sctp":
		return ""
	case strings.HasPrefix(address, "["):
		return "6"
	}
	return "4"
}
