package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestBandwidthRefuses wants what cannot be shaped said, with the reason, and nothing made.
func TestBandwidthRefuses(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		nstest.Namespace(t, "c2")
		s := newShaped(t, "eth0")
		none := shaped{t, `{"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c2"}]}`}
		for _, c := range []struct{ kind, keys, want string }{
			{"bridge", shapedKeys, "interface eth0: bridge: only one end of a pair can be shaped from the host"},
			{"ifb", shapedKeys, "interface eth0: ifb: only one end of a pair can be shaped from the host"},
			{"veth peer name other", shapedKeys, "its other end is none of the links of prevResult"},
			{"ifb", `"ingressRate": 8000`, "ingressBurst: 0: must be there, as ingressRate is"},
			{"ifb", `"egressBurst": 8000`, "egressRate: 0: must be there, as egressBurst is"},
			{"ifb", `"ingressRate": 8000, "ingressBurst": 34359738368`, "ingressBurst: 34359738368: must be a whole number"},
			{"ifb", `"ingressRate": 7, "ingressBurst": 8000`, "ingressRate: 7: must be 8 bits a second"},
			{"ifb", shapedKeys + `, "runtimeConfig": {"bandwidth": {"ingressRate": 1}}, "maxBurst": 1`, "maxBurst: 1: must be 0, or 8 bits"},
			{"ifb", `"runtimeConfig": {"bandwidth": {"IngressRate": 8000}}`, "ingressBurst: 0: must be there, as ingressRate is"},
		} {
			s.run("ip -n c2 link add eth0 type " + c.kind)
			before := snapshot.Take(t, netnsDir+"c2")
			r, err := invoke("ADD", "bandwidth", "c2", none.config(c.keys))
			must(t, err)
			if r.Status == 0 || !strings.Contains(r.Msg, c.want) {
				t.Errorf("%s, %s: %q, want %q", c.kind, c.keys, r.Msg, c.want)
			}
			succeed(t, "DEL", "bandwidth", "c2", none.config(c.keys))
			if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c2")); diff != "" {
				t.Errorf("%s: the state is not as it was:\n%s", c.kind, diff)
			}
			s.run("ip -n c2 link del eth0")
		}
		if r, err := invoke("ADD", "bandwidth", "c1", s.config(`"ingressRate": 8000000, "ingressBurst": 8`)); err != nil || !strings.Contains(r.Msg+r.Details, "give it a greater burst") {
			t.Errorf("a burst of a byte: %v: %q (%s)", err, r.Msg, r.Details)
		}
		s.run("tc qdisc add dev " + s.host() + " root handle 7: htb")
		before := snapshot.Take(t, netnsDir+"c1")
		r, err := invoke("ADD", "bandwidth", "c1", s.config(shapedKeys))
		must(t, err)
		if want := "has a queue of somebody else's, htb 7:"; r.Status == 0 || !strings.Contains(r.Msg, want) {
			t.Errorf("%q, want %q", r.Msg, want)
		}
		succeed(t, "DEL", "bandwidth", "c1", s.config(shapedKeys))
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("the state is not as it was:\n%s", diff)
		}
	})
}

// TestBandwidthStatus wants STATUS to try what the kernel has and to leave nothing; and no complaint where it may not try.
func TestBandwidthStatus(t *testing.T) {
	t.Parallel()
	const config = `{"cniVersion": "1.1.0", "name": "net", "type": "bandwidth", "capabilities": {"bandwidth": true}`
	nstest.Run(t, func(t *testing.T) {
		before := snapshot.Take(t)
		for _, keys := range []string{"", `, "unshapedSubnets": ["10.0.0.0/8", "fd00::/8"]`, `, "shapedSubnets": ["10.0.0.0/8"]`} {
			succeed(t, "STATUS", "bandwidth", "", config+keys+"}", "CNI_NETNS", "CNI_IFNAME", "CNI_CONTAINERID")
		}
		must(t, os.WriteFile("/proc/sys/user/max_net_namespaces", []byte("0"), 0o644))
		r := succeed(t, "STATUS", "bandwidth", "", config+"}", "CNI_NETNS", "CNI_IFNAME", "CNI_CONTAINERID")
		if !strings.Contains(string(r.Err), "is not known") {
			t.Errorf("it says %q", r.Err)
		}
		if diff := snapshot.Diff(before, snapshot.Take(t)); diff != "" {
			t.Errorf("the state is not as it was:\n%s", diff)
		}
	})
}

// TestBandwidthMaxBurst wants the runtime's burst bounded by the network's, in the queue and for CHECK.
func TestBandwidthMaxBurst(t *testing.T) {
	t.Parallel()
	const keys = `"maxBurst": 160000, "runtimeConfig": {"bandwidth": {"IngressRate": 16000000, "IngressBurst": 4294967295, "EgressRate": 16000000, "EgressBurst": 2147483647}}`
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		r := succeed(t, "ADD", "bandwidth", "c1", s.config(keys))
		if queues := s.run("tc qdisc show"); strings.Count(queues, "burst 20000b") != 2 {
			t.Errorf("queues:\n%s", queues)
		}
		succeed(t, "CHECK", "bandwidth", "c1", shaped{t, string(r.Out)}.config(keys))
		s.holdRate()
	})
}
