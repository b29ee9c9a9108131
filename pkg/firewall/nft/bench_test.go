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
	next := 1 << 14 // each round has another attachment: one that was dropped a moment ago would have to be deleted first
	for _, present := range []int{0, 1000} {
		f := Open()
		for i := range present {
			holdBoth(b, f, i)
		}
		round := func(name string, before, measured, after func(*Filter, int)) {
			b.Run(fmt.Sprintf("%s/%d", name, present), func(b *testing.B) {
				for b.Loop() {
					next++
					b.StopTimer()
					before(f, next)
					b.StartTimer()
					own := Open()
					measured(own, next)
					must(b, own.Close())
					b.StopTimer()
					after(f, next)
					b.StartTimer()
				}
			})
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
		round("hold", nothing, hold, drop)
		round("drop", hold, drop, nothing)
		round("drop-no-values", hold, forget, nothing)
		round("drop-absent", nothing, forget, nothing)
		round("held", hold, look, drop)
		round("ground", nothing, func(f *Filter, _ int) { must(b, f.Ground(b.Context())) }, nothing)
		must(b, f.Close())
	}
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
