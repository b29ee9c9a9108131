package iptables

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestToldLate tells a keeper what ours have changed when it reads already, as a machine with other work does: what it reads has that, so it is read once.
func TestToldLate(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		k, err := Keep(dir)
		must(t, err)
		defer k.Close()
		before := k.at
		o := owner.Of("net", "c1", "eth0")
		f := opened(Options{MarkBit: DefaultMarkBit, Run: dir})
		_, err = f.Hold(t.Context(), o, firewall.Claim{Role: firewall.Masquerade,
			Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}, nil)
		must(t, err)
		generation := k.filter.readings.generation()
		if generation == before {
			t.Fatal("nothing was made")
		}
		started, log := announcements(t)
		learned := make(chan error)
		go func() {
			_, err := k.Learn(t.Context(), func(owner.ID) bool { return true })
			learned <- err
		}()
		if name := <-started; name != "iptables-save" {
			t.Errorf("%s was started", name)
		}
		for now := before + 1; after(now, before) && !after(now, generation); now++ {
			k.Take(Change{Ours: true, Generation: now})
		}
		must(t, <-learned)
		must(t, os.WriteFile(log, []byte("end\n"), 0))
		if name := <-started; name != "end" {
			t.Errorf("%s was started once more", name)
		}
		if k.lags() || k.due || !k.held["iptables"]["raw"].has(ledgerChain(o, firewall.Masquerade)) {
			t.Errorf("what ours have changed is not known: %+v", k)
		}
	})
}

// TestSlowTool has a tool that takes longer than the kernel's word may, as on a busy host: what it says is learned.
func TestSlowTool(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		dir, bin := t.TempDir(), t.TempDir()
		o := owner.Of("net", "c1", "eth0")
		f := opened(Options{MarkBit: DefaultMarkBit, Run: dir})
		_, err := f.Hold(t.Context(), o, firewall.Claim{Role: firewall.Forward, Pass: []netip.Addr{netip.MustParseAddr("10.1.0.2")}}, nil)
		must(t, err)
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] || sleep %f\nexec /usr/sbin/iptables-save \"$@\"\n", 1.1*patience.Seconds())
		must(t, os.WriteFile(filepath.Join(bin, "iptables-save"), []byte(script), 0o755))
		must(t, os.Setenv("PATH", bin+":"+os.Getenv("PATH"))) // of this process, which is the test's alone
		k, err := Keep(dir)
		must(t, err)
		defer k.Close()
		first, err := k.Learn(t.Context(), func(owner.ID) bool { return true })
		if err != nil || !first || !k.held["iptables"]["raw"].has(ledgerChain(o, firewall.Forward)) {
			t.Errorf("first %t, %v: %+v", first, err, k.held)
		}
	})
}

// announcements says which program of iptables is asked for rules, when it is started, and returns the pipe on which it hears of it.
func announcements(t *testing.T) (started chan string, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	must(t, unix.Mkfifo(log, 0o600))
	pipe, err := os.OpenFile(log, os.O_RDWR, 0) // which waits for nobody
	must(t, err)
	t.Cleanup(func() { pipe.Close() })
	nstest.Announced(t, log, "iptables-restore", "iptables-save")
	started = make(chan string, 100)
	go func() {
		for scan := bufio.NewScanner(pipe); scan.Scan(); {
			started <- scan.Text()
		}
	}()
	return started, log
}

// TestUnheard has rules in iptables-legacy, of which the kernel tells nobody, and takes them away by the ways in which people do: it is seen when it is looked.
func TestUnheard(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		choose(t, "legacy")
		dir := t.TempDir()
		k, err := Keep(dir)
		must(t, err)
		defer k.Close()
		if owners, torn := k.Unheard(t.Context()); len(owners) > 0 || torn {
			t.Errorf("of nothing: %v, %v", owners, torn)
		}
		o, subnet, addr := owner.Of("net", "c1", "eth0"), netip.MustParsePrefix("10.1.0.0/24"), netip.MustParseAddr("10.1.0.2")
		f := opened(Options{MarkBit: DefaultMarkBit, Run: dir})
		holds := func() {
			t.Helper()
			for _, c := range []firewall.Claim{
				{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: addr, Subnet: subnet}}},
				{Role: firewall.Publish, Ports: []firewall.Port{{Protocol: 6, HostPort: 8080, Target: netip.AddrPortFrom(addr, 80), Subnet: subnet}}},
				{Role: firewall.Forward, Pass: []netip.Addr{addr}},
			} {
				_, err := f.Hold(t.Context(), o, c, nil)
				must(t, err)
			}
			if owners, torn := k.Unheard(t.Context()); len(owners) != 3 || torn {
				t.Errorf("of what is whole: %v, %v", owners, torn)
			}
		}
		for _, args := range [][]string{{"-t", "nat", "-F"}, {"-t", "nat", "-F", "POSTROUTING"}, {"-t", "nat", "-F", "PREROUTING"}, {"-t", "nat", "-F", hostports},
			{"-F"}, {"-F", "FORWARD"}, {"-F", forwardChain}, {"-t", "raw", "-F"}} {
			holds()
			run(t, "iptables-legacy", args...)
			if owners, torn := k.Unheard(t.Context()); !torn && len(owners) == 3 {
				t.Errorf("iptables %v: not seen", args)
			}
		}
		holds()
		run(t, "iptables-legacy", "-A", "FORWARD", "-s", "10.7.0.0/16", "-j", "DROP") // what is of others
		run(t, "iptables-legacy", "-D", "FORWARD", "-s", "10.7.0.0/16", "-j", "DROP")
		if owners, torn := k.Unheard(t.Context()); len(owners) != 3 || torn {
			t.Errorf("beside others': %v, %v", owners, torn)
		}
	})
}
