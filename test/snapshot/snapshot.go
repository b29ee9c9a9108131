// Package snapshot writes down the state of a host and of its containers as text, so that a test can compare before with after and
// a person can read the difference.
//
// A line is one object: `<namespace> <kind> <name> <properties>`. Lines are sorted, and hold nothing that changes by itself: no
// counters, handles, interface indexes, timers or learned neighbours, no IPv6 link-local addresses and their routes (the kernel adds
// and removes them with the carrier, some time later), no nftables element with an expiration (it is as good as gone).
package snapshot

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

// Host is the name under which the caller's own network namespace appears in a snapshot.
const Host = "host"

// Take returns the state of the calling thread's network namespace, of the namespaces at the paths, of the address reservations below
// /var/lib and /run, of the backups below /run, and of what is written down there of chained plugins. A namespace is named by the last element of its path. The test ends where something cannot be read.
func Take(t testing.TB, namespaces ...string) string {
	t.Helper()
	text, err := Read(namespaces...)
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	return text
}

// Read is Take for a caller that is no test.
func Read(namespaces ...string) (string, error) {
	lines, err := reservations("/var/lib", "/run")
	if err != nil {
		return "", err
	}
	kept, err := backups("/run/cni/tuning", "/run/backups", "/run/cni/dhcp.leases", "/run/cni/trestle/chained/firewall", "/run/cni/trestle/chained/portmap")
	if err != nil {
		return "", err
	}
	lines = append(lines, kept...)
	here, err := network()
	if err != nil {
		return "", err
	}
	lines = append(lines, named(Host, here)...)
	for _, path := range namespaces {
		err := nstest.In(path, func() error {
			there, err := network()
			lines = append(lines, named(filepath.Base(path), there)...)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

func named(namespace string, lines []string) []string {
	for i, line := range lines {
		lines[i] = namespace + " " + line + "\n"
	}
	return lines
}

// network reads what belongs to the calling thread's network namespace, and reads it again where the kernel says that a list changed
// while it was written (NLM_F_DUMP_INTR, netlink(7)).
func network() ([]string, error) {
	for {
		lines, err := networkOnce()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return lines, err
		}
	}
}

func networkOnce() ([]string, error) {
	links, names, err := links()
	if err != nil {
		return nil, err
	}
	addresses, err1 := addresses(names)
	routes, err2 := routes(names)
	rules, err3 := rules()
	neighbours, err4 := neighbours(names)
	sysctls, err5 := sysctls(names)
	filter, err6 := filter()
	queues, err7 := queues(names)
	return slices.Concat(links, addresses, routes, rules, neighbours, sysctls, filter, queues), errors.Join(err1, err2, err3, err4, err5, err6, err7)
}

// Diff returns the lines that differ, those of before with "-", those of after with "+", and "" where there are none.
func Diff(before, after string) string {
	old, now := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	var out strings.Builder
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(old) > 0 && (len(now) == 0 || old[0] < now[0]):
			if old[0] != "" {
				out.WriteString("- " + old[0])
			}
			old = old[1:]
		case len(old) == 0 || now[0] < old[0]:
			if now[0] != "" {
				out.WriteString("+ " + now[0])
			}
			now = now[1:]
		default:
			old, now = old[1:], now[1:]
		}
	}
	return out.String()
}

// Without returns the snapshot less the lines that drop is true for.
func Without(text string, drop func(line string) bool) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, drop), "")
}
