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

	"github.com/godbus/dbus/v5"
)

const (
	bus  = "/run/dbus/system_bus_socket"
	name = "org.fedoraproject.FirewallD1"
	path = "/org/fedoraproject/FirewallD1"
)

// Daemon is a firewalld that filters the packets of the process's network namespace.
type Daemon struct{ conn *dbus.Conn }

// Find returns the daemon, nil where there is none of this namespace.
func Find(ctx context.Context) (*Daemon, error) {
	if _, err := os.Stat(bus); err != nil {
		return nil, nil
	}
	conn, err := dbus.Connect("unix:path="+bus, dbus.WithContext(context.WithoutCancel(ctx)))
	if err != nil {
		return nil, nil // nobody who may not ask has firewalld's packets
	}
	var pid uint32
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, name).Store(&pid)
	if err != nil || !beside(pid) {
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

func (d *Daemon) call(ctx context.Context, method string, args ...any) *dbus.Call {
	return d.conn.Object(name, path).CallWithContext(ctx, name+".zone."+method, 0, args...)
}

// Source is an address as firewalld is told it.
func Source(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// Add makes the address a source of the zone, and says whether it was none before.
func (d *Daemon) Add(ctx context.Context, zone string, a netip.Addr) (created bool, err error) {
	err = d.call(ctx, "addSource", zone, Source(a)).Err
	if says(err, "ZONE_ALREADY_SET", "ALREADY_ENABLED") {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("firewalld: zone %s: %s: %w", zone, Source(a), err)
	}
	return true, nil
}

// Has says whether the address is a source of the zone.
func (d *Daemon) Has(ctx context.Context, zone string, a netip.Addr) (has bool, err error) {
	if err = d.call(ctx, "querySource", zone, Source(a)).Store(&has); err != nil {
		err = fmt.Errorf("firewalld: zone %s: %w", zone, err)
	}
	return has, err
}

// Remove makes the address a source of no zone. One that is none is left.
func (d *Daemon) Remove(ctx context.Context, a netip.Addr) error {
	var zone string
	if err := d.call(ctx, "getZoneOfSource", Source(a)).Store(&zone); err != nil || zone == "" {
		return nil // it knows none
	}
	if err := d.call(ctx, "removeSource", zone, Source(a)).Err; err != nil && !says(err, "UNKNOWN_SOURCE", "NOT_ENABLED") {
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
