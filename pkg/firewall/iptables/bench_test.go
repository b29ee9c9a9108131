package iptables

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// BenchmarkPorts measures what one udp port and five hundred take to hold and to drop, on a fresh connection as a plugin has it, and what of the
// former is iptables-restore alone, given the same input. It does so for root over a user namespace, to whom the kernel gives less room for
// a transaction, and for root over the machine where it is run by that.
func BenchmarkPorts(b *testing.B) {
	if os.Getenv("IPTABLES_BENCHMARK") == "" {
		b.Run("rootless", func(b *testing.B) { alone(b, unix.CLONE_NEWUSER) })
		if os.Getuid() == 0 {
			b.Run("root", func(b *testing.B) { alone(b, 0) })
		}
		return
	}
	m := ported{B: b, run: b.TempDir()}
	m.hold(owner.Of("net", "neighbour", "eth0"), udp("10.1.0.1", 30000, 1)) // which makes the shared chains
	for _, count := range []int{1, 500} {
		c := udp("10.1.0.2", 20000, count)
		m.measure(fmt.Sprint("tool/", count), func() func() { return m.tool(c) }, func() { m.drop(c) })
		m.measure(fmt.Sprint("hold/", count), func() func() { return func() { m.hold(many, c) } }, func() { m.drop(c) })
		m.measure(fmt.Sprint("drop/", count), func() func() { m.hold(many, c); return func() { m.drop(c) } }, func() {})
	}
}

var many = owner.Of("net", "many", "eth0")

// ported measures with the lock in a directory of its own.
type ported struct {
	*testing.B
	run string
}

func (m ported) open() *Filter { return opened(Options{MarkBit: DefaultMarkBit, Run: m.run}) }

// measure measures what prepare returns.
func (m ported) measure(name string, prepare func() func(), after func()) {
	m.Run(name, func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			measured := prepare()
			b.StartTimer()
			measured()
			b.StopTimer()
			after()
			b.StartTimer()
		}
	})
}

// tool returns a run of iptables-restore that writes what the claim lacks.
func (m ported) tool(c firewall.Claim) func() {
	states, err := m.open().hold(m.Context(), many, c, nil)
	must(m, err)
	s := states[0]
	text := s.input(lines{"raw", s.toRaw}, lines{"nat", s.toNAT})
	return func() {
		cmd := exec.Command(s.restore, "--noflush", "--wait")
		cmd.Stdin = strings.NewReader(text)
		must(m, cmd.Run())
	}
}

func (m ported) hold(o owner.Owner, c firewall.Claim) {
	_, err := m.open().Hold(m.Context(), o, c, nil)
	must(m, err)
}

func (m ported) drop(c firewall.Claim) { must(m, m.open().Drop(m.Context(), many, c)) }

// udp is a claim of so many ports from the first one on.
func udp(target string, first, count int) firewall.Claim {
	addr := netip.MustParseAddr(target)
	c := firewall.Claim{Role: firewall.Publish}
	for i := range count {
		c.Ports = append(c.Ports, firewall.Port{Protocol: unix.IPPROTO_UDP, HostPort: uint16(first + i), Target: netip.AddrPortFrom(addr, uint16(1+i)),
			Subnet: netip.PrefixFrom(addr, 24).Masked(), SNAT: firewall.SNATHairpin})
	}
	return c
}

// alone runs the benchmark in a network namespace of its own, and in what else the flags ask for.
func alone(b *testing.B, flags uintptr) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$", "-test.bench=^BenchmarkPorts$", "-test.benchtime=20x")
	cmd.Env = append(os.Environ(), "IPTABLES_BENCHMARK=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | flags, Pdeathsig: syscall.SIGKILL}
	if flags&unix.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	b.Logf("%s", out)
}
