package nft

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// BenchmarkAttachment measures one attachment's claims (a masqueraded address and a published port) on a fresh connection, with none
// and with a thousand others present. It runs in namespaces of its own, for which it executes the test binary again.
func BenchmarkAttachment(b *testing.B) {
	if os.Getenv("NFT_BENCHMARK") == "" {
		alone(b)
		return
	}
	next := 1 << 14
	for _, present := range []int{0, 1000} {
		r := &rounds{B: b, present: present, next: &next, filter: Open()}
		for i := range present {
			holdBoth(b, r.filter, i)
		}
		nothing := func(*Filter, int) {}
		hold := func(f *Filter, n int) { holdBoth(b, f, n) }
		drop := func(f *Filter, n int) { dropBoth(b, f, n, true) }
		forget := func(f *Filter, n int) { dropBoth(b, f, n, false) }
		look := func(f *Filter, n int) {
			o, m, p := attachment(n)
			must(b, f.Held(b.Context(), o, m))
			must(b, f.Held(b.Context(), o, p))
		}
		r.measure("hold", nothing, hold, drop)
		r.measure("drop", hold, drop, nothing)
		r.measure("drop-no-values", hold, forget, nothing)
		r.measure("drop-absent", nothing, forget, nothing)
		r.measure("held", hold, look, drop)
		r.measure("ground", nothing, func(f *Filter, _ int) { must(b, f.Ground(b.Context())) }, nothing)
		must(b, r.filter.Close())
	}
}

// rounds measures with a number of attachments present. Each round has another attachment: one that was dropped a moment ago would
// have to be deleted first.
type rounds struct {
	*testing.B
	present int
	next    *int
	filter  *Filter // for what is not measured
}

func (r *rounds) measure(name string, before, measured, after func(*Filter, int)) {
	r.Run(fmt.Sprintf("%s/%d", name, r.present), func(b *testing.B) {
		for b.Loop() {
			*r.next++
			b.StopTimer()
			before(r.filter, *r.next)
			b.StartTimer()
			own := Open()
			measured(own, *r.next)
			must(b, own.Close())
			b.StopTimer()
			after(r.filter, *r.next)
			b.StartTimer()
		}
	})
}

// alone runs the benchmark in namespaces of its own.
func alone(b *testing.B) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$", "-test.bench=^"+b.Name()+"$", "-test.benchtime=200x")
	cmd.Env = append(os.Environ(), "NFT_BENCHMARK=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	b.Logf("%s", out)
}

// attachment is the nth owner with its claims.
func attachment(n int) (owner.Owner, firewall.Claim, firewall.Claim) {
	addr := netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})
	subnet := netip.MustParsePrefix("10.1.0.0/16")
	to := netip.AddrPortFrom(addr, 80)
	return owner.Of("net", fmt.Sprint("c", n), "eth0"),
		firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: addr, Subnet: subnet}}},
		firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{
			{Protocol: 6, HostPort: uint16(1024 + n), Target: to, Subnet: subnet, SNAT: firewall.SNATHairpin}}}
}

func holdBoth(b *testing.B, f *Filter, n int) {
	o, m, p := attachment(n)
	for _, c := range []firewall.Claim{m, p} {
		_, err := f.Hold(b.Context(), o, c, nil)
		must(b, err)
	}
}

func dropBoth(b *testing.B, f *Filter, n int, values bool) {
	o, m, p := attachment(n)
	if !values {
		m.Masq, p.Ports = nil, nil
	}
	must(b, f.Drop(b.Context(), o, m))
	must(b, f.Drop(b.Context(), o, p))
}
