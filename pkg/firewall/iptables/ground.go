package iptables

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// guard is the chain that keeps packets for and from the host's loopback out that did not come by lo (CVE-2020-8558), in the table raw, which
// sees them first.
const guard = "TRESTLE-GUARD"

func (f family) guardJump() string {
	return fmt.Sprintf(`-m comment --comment "trestle: keep %s inside" -j %s`, f.loopback, guard)
}

func (f family) guardRules() []string {
	return []string{"-d " + f.loopback + " ! -i lo -j DROP", "-s " + f.loopback + " ! -i lo -j DROP"}
}

// Ground makes the guard of IPv4, which route_localnet needs; that of IPv6 comes with the first claim. The shared chains of published ports are
// made by the first port, as in the reference.
func (f *Filter) Ground(ctx context.Context) error {
	s, err := f.ground(ctx)
	if err != nil || !s.lacks() {
		return err // most often it is there, and a look needs no lock
	}
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if s, err = f.ground(ctx); err != nil {
		return err
	}
	return s.made(ctx, lock)
}

// ground reads the table of the guard and notes what is missing.
func (f *Filter) ground(ctx context.Context) (*state, error) {
	t, err := f.find(ctx, families()[0], "")
	if err != nil {
		return nil, err
	}
	s := &state{tool: t}
	if s.raw, err = t.read(ctx, "raw"); err == nil {
		s.guard()
		f.spare(s)
	}
	return s, err
}

// guard notes what is missing to the guard. Its jump must be the first rule.
func (s *state) guard() {
	changed := rewrite(s.raw, &s.toRaw, guard, s.guardRules())
	if first := append(s.raw.chains["PREROUTING"], "")[0]; first != s.guardJump() {
		for _, rule := range s.raw.jumps("PREROUTING", guard) {
			s.toRaw = append(s.toRaw, "-D PREROUTING "+rule)
		}
		s.toRaw = append(s.toRaw, "-I PREROUTING 1 "+s.guardJump())
		changed = true
	}
	if changed {
		s.differs(fmt.Sprintf("table raw: expected chain %s with %d rules at the start of PREROUTING, found something else", guard, len(s.guardRules())))
	}
}

// Grounded compares what Ground would make with what is there.
func (f *Filter) Grounded(ctx context.Context) error {
	s, err := f.ground(ctx)
	if err != nil {
		return err
	}
	return drifted(s.lacking())
}

// Unground removes the shared chains where no published port of anybody's is left, and the guard where nobody holds anything and no
// interface has route_localnet.
func (f *Filter) Unground(ctx context.Context) error {
	errs := []error{f.options.Link.Unground(ctx), f.ungroundPass(ctx)}
	tools, err := f.everywhere(ctx, "raw")
	if err != nil || len(tools) == 0 {
		return fault.Join(append(errs, err)...)
	}
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, t := range tools {
		errs = append(errs, unground(ctx, lock, t))
	}
	return fault.Join(errs...)
}

func unground(ctx context.Context, lock *os.File, t *tool) error {
	s, err := t.load(ctx)
	if err != nil {
		return err
	}
	if len(s.nat.chains[hostports]) == 0 && !slices.ContainsFunc(s.entries, func(e entry) bool { return e.role == firewall.Publish }) {
		s.unframe()
	}
	open, err := routesLocalnet()
	if err != nil {
		return err
	}
	if len(s.entries) == 0 && !open {
		for _, rule := range s.raw.jumps("PREROUTING", guard) {
			s.toRaw = append(s.toRaw, "-D PREROUTING "+rule)
		}
		dissolve(s.raw, &s.toRaw, guard)
	}
	return s.removed(ctx, lock)
}

// unframe removes the shared chains and what leads to them.
func (s *state) unframe() {
	for from, to := range map[string]string{"PREROUTING": hostports, "OUTPUT": hostports, postrouting: markMasq} {
		for _, rule := range s.nat.jumps(from, to) {
			s.cut(from, rule)
		}
	}
	for _, chain := range []string{hostports, markMasq, setMark} {
		if !s.nat.referenced(chain, s.going...) {
			dissolve(s.nat, &s.toNAT, chain)
		}
	}
}

// routesLocalnet says whether any interface takes packets for 127.0.0.0/8 from outside (ip-sysctl, route_localnet).
func routesLocalnet() (bool, error) {
	files, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/route_localnet")
	if err != nil {
		return false, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(text)) == "1" { // an interface may go meanwhile
			return true, nil
		}
	}
	return false, nil
}
