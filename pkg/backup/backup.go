// Package backup keeps what an interface was like before tuning changed it, in the files of the reference's plugin of that name, so that attachments can change
// hands in both directions.
package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/places"
)

// DefaultDir is where the reference keeps them, and we where the configuration names no other place.
const DefaultDir = "/run/cni/tuning"

// File is one attachment's backup. The first five members are the reference's, in its order: what is not there was not changed. The reference does not know
// the others, and leaves them alone.
type File struct {
	MAC      string `json:"mac,omitempty"`
	Promisc  *bool  `json:"promisc,omitempty"`
	MTU      int    `json:"mtu,omitempty"`
	AllMulti *bool  `json:"allmulti,omitempty"`
	TxQLen   *int   `json:"txQLen,omitempty"`

	Network     string   `json:"network,omitempty"`
	ContainerID string   `json:"containerID,omitempty"`
	IfName      string   `json:"ifname,omitempty"`
	Netns       uint64   `json:"netns,omitempty"`  // inode of the network namespace
	Linked      bool     `json:"linked,omitempty"` // the link that has the owner's name carries the attachment: without it there is none
	Sysctl      []Sysctl `json:"sysctl,omitempty"` // in the order of their changes
}

// Sysctl is one setting: what it was, and what it was made.
type Sysctl struct {
	Key string `json:"key"` // as a path below /proc/sys
	Was string `json:"was"`
	Is  string `json:"is"`

	Asked string `json:"asked,omitempty"` // what was written, where the kernel reads it in another form
}

// Find returns the setting of the key, nil where there is none.
func (f *File) Find(key string) *Sysctl {
	if i := slices.IndexFunc(f.Sysctl, func(s Sysctl) bool { return s.Key == key }); i >= 0 {
		return &f.Sysctl[i]
	}
	return nil
}

// Owner is whose the file is; false for one of the reference's, which does not say.
func (f *File) Owner() (owner.Owner, bool) {
	return owner.Of(f.Network, f.ContainerID, f.IfName), f.Network != "" && f.ContainerID != "" && f.IfName != ""
}

// Path is where the attachment's file is in the directory.
func Path(dir, containerID, ifName string) string {
	return filepath.Join(dir, containerID+"_"+ifName+".json")
}

// ErrTorn is in the error of a Read of what is no backup.
var ErrTorn = errors.New("torn")

// Read returns the file; nil where there is none.
func Read(path string) (*File, error) {
	text, err := plainfile.Read(path)
	if plainfile.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := new(File)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrTorn, err)
	}
	return f, nil
}

// Write puts the file in its place, whole or not at all.
func (f *File) Write(path string) error {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return plainfile.Write(path, text)
}

// Remove removes the file and what a kill left of it.
func Remove(path string) error { return plainfile.Remove(path) }

// List returns the paths of the files in the directory, of which those that were being written are none.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !plainfile.Absent(err) {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Dirs are the directories in which a network's backups may be, whatever its configuration says today.
func Dirs(network, named string) []string { return kept().Dirs(network, named) }

// Remember writes down that the network has backups in the directory.
func Remember(dir, network string) { kept().Remember(dir, network) }

func kept() places.Kind {
	return places.Kind{Name: "backups", Default: DefaultDir, There: func(dir, _ string) bool {
		_, err := os.Lstat(dir)
		return err == nil
	}}
}
