// Package lent keeps what a device of the host was like before a container got it, so that it comes back as it was, whatever way it left. The files are ours
// alone, and need not outlive a boot: with that, every device is the host's again.
package lent

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Dir is where the files are.
const Dir = "/run/cni/trestle/devices"

// Device is what one was like, and who has it.
type Device struct {
	Network     string      `json:"network"`
	ContainerID string      `json:"containerID"`
	IfName      string      `json:"ifname"` // in the container
	Netns       string      `json:"netns,omitempty"`
	Name        string      `json:"name"` // on the host
	Alias       string      `json:"alias,omitempty"`
	Index       int         `json:"index"`
	MAC         string      `json:"mac,omitempty"`
	Node        uint64      `json:"node,omitempty"` // of its folder in the kernel's tree of devices
	Up          bool        `json:"up,omitempty"`
	Promisc     bool        `json:"promisc,omitempty"`
	AllMulti    bool        `json:"allmulti,omitempty"`
	Dies        bool        `json:"dies,omitempty"` // with the namespace that it is in: it is of a kind that somebody makes, and no hardware
	MTU         int         `json:"mtu"`
	TxQLen      int         `json:"txQLen"`
	Addrs       [][]byte    `json:"given,omitempty"` // as the kernel told them (rtnl.Given)
	Rules       []rtnl.Rule `json:"rules,omitempty"` // that went along
}

// Owner is who has the device.
func (d *Device) Owner() owner.Owner { return owner.Of(d.Network, d.ContainerID, d.IfName) }

// Is says whether a link is the device: under whatever name, with its own as its alias, or as it was when it was written down.
func (d *Device) Is(name, alias, mac string, index int) bool {
	same := mac == d.MAC
	return alias == d.Name && (same || index == d.Index) || name == d.Name && same
}

// path is where the owner's file is. An attachment has one device.
func path(id owner.ID) string { return filepath.Join(Dir, hex.EncodeToString(id.Owner[:])+".json") }

// ErrTorn is in the error of a Read of what nobody of ours has written.
var ErrTorn = errors.New("torn")

// Read returns what the owner has; nil where that is nothing.
func Read(id owner.ID) (*Device, error) {
	d, err := read(path(id))
	if d != nil && d.Owner().ID != id {
		return nil, fmt.Errorf("%s: %w: it is of another attachment", path(id), ErrTorn)
	}
	return d, err
}

// Noted says whether anything is written down for the owner, be it unreadable.
func Noted(id owner.ID) bool {
	_, err := os.Lstat(path(id))
	return err == nil
}

// Any says whether anything is written down.
func Any() bool {
	entries, _ := os.ReadDir(Dir) // what cannot be read is as lost
	return len(entries) > 0
}

func read(file string) (*Device, error) {
	text, err := plainfile.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, link := os.Lstat(file); link == nil {
			return nil, fmt.Errorf("%s: %w: it leads nowhere", file, ErrTorn)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := new(Device)
	if err = json.Unmarshal(text, d); err == nil && d.Name == "" {
		err = errors.New("no device is named")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, ErrTorn, err)
	}
	return d, nil
}

// Write puts the file in its place, whole or not at all.
func (d *Device) Write() error {
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	return plainfile.Write(path(d.Owner().ID), text)
}

// Remove removes the owner's file, and what a kill left of it.
func Remove(id owner.ID) error { return plainfile.Remove(path(id)) }

// All returns what anybody has. A file that cannot be read is left out, and named in the error.
func All() (list []*Device, err error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	errs := []error{err}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		d, err := read(filepath.Join(Dir, e.Name()))
		if d != nil {
			list = append(list, d)
		}
		errs = append(errs, err)
	}
	return list, errors.Join(errs...)
}
