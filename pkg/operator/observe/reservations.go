package observe

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/trestle-cni/trestle/pkg/ipam"
)

// readReservations reads what host-local keeps, in its usual directory and in those that configurations name, or named.
func (r *reader) readReservations() {
	dirs := r.options.DataDirs
	if dirs == nil {
		dirs = append(ipam.Places(), r.rememberedDirs()...)
	}
	for i, dir := range dirs {
		if slices.Contains(dirs[:i], dir) {
			continue
		}
		networks, err := ipam.Networks(dir)
		if err != nil {
			r.problem("reservations", err, "read them as root")
			r.unlisted("")
		}
		for _, network := range networks {
			r.readNetwork(dir, network)
		}
	}
}

// unlisted notes that reservations of the network, or of any where it has no name, may be there that nobody has seen.
func (r *reader) unlisted(network string) {
	r.hidden.reservations = true
	if r.hidden.unlisted == nil {
		r.hidden.unlisted = make(map[string]bool)
	}
	r.hidden.unlisted[network] = true
}

func (r *reader) readNetwork(dir, network string) {
	found, err := ipam.Survey(dir, network)
	if err != nil {
		r.problem("reservations of "+network, err, "read them as root")
		r.unlisted(network)
	}
	unread := make(map[string]int)
	for _, f := range found {
		v := &Reservation{ID: network + "/" + f.Addr.String(), Network: network, Address: f.Addr,
			ContainerID: f.Holder.ContainerID, IfName: f.Holder.IfName, Dead: f.Dead, lives: f.Lives}
		if f.Unread != nil {
			v.Unread = f.Unread.Error()
			unread[v.Unread]++
		}
		r.host.Reservations = append(r.host.Reservations, v)
	}
	for _, cause := range slices.Sorted(maps.Keys(unread)) {
		r.problem("reservations of "+network, fmt.Errorf("%d of %d: %s", unread[cause], len(found), cause), "read them as root")
		r.hidden.reservations = true
	}
}

// rememberedDirs are the data directories in what runtimes remember.
func (r *reader) rememberedDirs() (dirs []string) {
	type ipamKeys struct {
		IPAM struct{ DataDir string }
	}
	for _, e := range r.results {
		var list struct {
			ipamKeys
			Plugins []struct {
				ipamKeys
				Plugins []ipamKeys // of the plugin trestle
			}
		}
		_ = json.Unmarshal(e.List, &list) // what cannot be read names none
		all := []string{list.IPAM.DataDir}
		for _, p := range list.Plugins {
			all = append(all, p.IPAM.DataDir)
			for _, inner := range p.Plugins {
				all = append(all, inner.IPAM.DataDir)
			}
		}
		for _, dir := range all {
			if filepath.IsAbs(dir) {
				dirs = append(dirs, filepath.Clean(dir))
			}
		}
	}
	return dirs
}
