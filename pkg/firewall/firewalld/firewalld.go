// Package firewalld asks firewalld, over the system bus, to count addresses to one of its zones. What it is told that way it forgets with a reload.
//
// It is asked only where it runs in the network namespace of the process: the bus of a host can be reached from a namespace of somebody else's, whose
// packets that host's firewalld does not see, and who may not tell it anything.
package firewalld

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/dbus"
)

const (
	name = "org.fedoraproject.FirewallD1"
	path = "/org/fedoraproject/FirewallD1"
)

// Daemon is a firewalld that filters the packets of the process's network namespace.
type Daemon struct{ conn *dbus.Conn }

// Find returns the daemon, nil where there is none of this namespace.
func Find(ctx context.Context) (*Daemon, error) {
	if _, err := os.Stat(dbus.Socket); err != nil {
		return nil, nil
	}
	conn, err := dbus.Open(ctx)
	if err != nil {
		return nil, ctx.Err() // nobody who may not ask has firewalld's packets
	}
	const bus = "org.freedesktop.DBus"
	pid, err := conn.Call(bus, "/org/freedesktop/DBus", bus, "GetConnectionUnixProcessID", name)
	if number, is := pid.(uint32); err != nil || !is || !beside(number) {
		conn.Close()
		return nil, ctx.Err()
	}
	return &Daemon{conn}, nil
}

// beside says whether the process is in our network namespace, and is firewalld: a number of another namespace of processes may be anybody's.
func beside(pid uint32) bool {
	own, err1 := os.Readlink("/proc/thread-self/ns/net")
	theirs, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	command, err3 := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return errors.Join(err1, err2, err3) == nil && own == theirs && strings.Contains(string(command), "firewalld")
}

// Close ends the connection.
func (d *Daemon) Close() { d.conn.Close() }

func (d *Daemon) call(method string, args ...string) (any, error) {
	return d.conn.Call(name, path, name+".zone", method, args...)
}

// Source is an address as firewalld is told it.
func Source(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// Add makes the address a source of the zone, and says whether it was none before.
func (d *Daemon) Add(zone string, a netip.Addr) (created bool, err error) {
	_, err = d.call("addSource", zone, Source(a))
	if says(err, "ZONE_ALREADY_SET", "ALREADY_ENABLED") {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("firewalld: zone %s: %s: %w", zone, Source(a), err)
	}
	return true, nil
}

// Has says whether the address is a source of the zone.
func (d *Daemon) Has(zone string, a netip.Addr) (has bool, err error) {
	answer, err := d.call("querySource", zone, Source(a))
	if err != nil {
		return false, fmt.Errorf("firewalld: zone %s: %w", zone, err)
	}
	has, _ = answer.(bool) // what is none is no yes
	return has, nil
}

// Remove makes the address a source of no zone. One that is none is left.
func (d *Daemon) Remove(a netip.Addr) error {
	answer, err := d.call("getZoneOfSource", Source(a))
	zone, _ := answer.(string)
	if err != nil || zone == "" {
		return nil // it knows none
	}
	if _, err := d.call("removeSource", zone, Source(a)); err != nil && !says(err, "UNKNOWN_SOURCE", "NOT_ENABLED") {
		return fmt.Errorf("firewalld: zone %s: %s: %w", zone, Source(a), err)
	}
	return nil
}

// says finds one of firewalld's own codes in an error.
func says(err error, codes ...string) bool {
	for _, code := range codes {
		if err != nil && strings.Contains(err.Error(), code) {
			return true
		}
	}
	return false
}
