// Package lease is what a DHCP server gave to a container: how it is asked for, what the answer means, and how it is written down, so that it is renewed whatever
// becomes of whoever asked.
package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Terms is what a server gave.
type Terms struct {
	Addr      netip.Prefix
	Server    netip.Addr
	ServerMAC net.HardwareAddr // whence the answer came: a router's where the server is elsewhere
	Router    netip.Addr
	Routes    []Route
	DNS       []netip.Addr `json:",omitempty"`
	Domain    string       `json:",omitempty"`
	Search    []string     `json:",omitempty"`
	MTU       int          `json:",omitempty"`

	Began              time.Duration // by the boot's clock, when it was asked for
	Renew, Rebind, End time.Duration // from the beginning of the lease; no End: for ever
}

// Route is one of those that come with an address.
type Route struct {
	Dst netip.Prefix
	Via netip.Addr // the zero Addr: on the link
}

// Record is one lease as it is written down.
type Record struct {
	Network, ContainerID, IfName string
	Netns                        string // as the plugin was told
	Inode                        uint64 // of the namespace
	Link                         int    // index of the interface
	MAC                          net.HardwareAddr
	Options                      Options
	ID                           []byte // the client's
	Terms
	Told string `json:",omitempty"` // what a renewal brought that the container does not have
	Over string `json:",omitempty"` // why nobody renews it any more
}

// Now is the boot's clock, which nobody sets.
func Now() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // there is one
	return time.Duration(now.Nano())
}

// Ends says when the lease ends, by the boot's clock, and false where it never does.
func (r Record) Ends() (time.Duration, bool) { return r.Began + r.End, r.End > 0 }

// Whose names the attachment.
func (r Record) Whose() string { return folder.Whose(r.ContainerID, r.Network, r.IfName) }

func (r Record) file(dir string) string { return folder.File(dir, r.ContainerID, r.Network, r.IfName) }

// Write writes the record down whole: a reader finds it as it was or as it is.
func (r Record) Write(dir string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return plainfile.Write(r.file(dir), text)
}

// Remove removes the record. That there is none is success.
func (r Record) Remove(dir string) error { return plainfile.Remove(r.file(dir)) }

// Find returns the record of an attachment; nil where there is none.
func Find(dir, containerID, network, ifName string) (*Record, error) {
	r := Record{ContainerID: containerID, Network: network, IfName: ifName}
	found, err := read(r.file(dir))
	if plainfile.Absent(err) {
		return nil, nil
	}
	return found, err
}

func read(path string) (*Record, error) {
	text, err := plainfile.Read(path)
	r := new(Record)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if plainfile.Absent(err) {
		return nil, err
	}
	if err == nil {
		err = r.whole(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// whole says what a record lacks that every one has which a daemon wrote down since the machine's boot, at its place. Who knows less of a lease can neither renew it
// nor give it back.
func (r Record) whole(path string) error {
	switch {
	case r.file(filepath.Dir(path)) != path:
		return fmt.Errorf("the lease of %s is not written down under this name", r.Whose())
	case r.Netns == "" || r.Inode == 0 || r.Link <= 0 || len(r.MAC) == 0:
		return errors.New("it does not say of which interface it is")
	case !r.Addr.IsValid() || !r.Addr.Addr().Is4() || !r.Server.Is4():
		return errors.New("it does not say what was given, and by whom")
	case r.Began > Now():
		return errors.New("it is of another boot")
	case r.End < 0 || r.End > 0 && (r.Renew <= 0 || r.Rebind < r.Renew || r.End < r.Rebind):
		return errors.New("it does not say when it is to be renewed")
	}
	return nil
}

// All returns the records of a directory, and what of it cannot be read.
func All(dir string) (list []Record, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, name := range names {
		r, failed := read(name)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		list = append(list, *r)
	}
	return list, err
}
