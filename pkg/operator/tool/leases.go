package tool

import (
	"errors"
	"io/fs"

	"github.com/trestle-cni/trestle/pkg/dhcp/call"
	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	networks "github.com/trestle-cni/trestle/pkg/operator/conflist" // conflist is a type here
	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/operator/known"
)

// leasesOf are the leases that daemons wrote down, at the usual socket and at those that configurations name.
func leasesOf(configs []*networks.File) (list []doctor.Lease) {
	sockets := map[string]bool{folder.Socket: true}
	for _, f := range configs {
		for _, p := range f.Plugins {
			sockets[known.DaemonOf(p.Node)] = true
			for _, inner := range known.Inner(p.Node) {
				sockets[known.DaemonOf(inner)] = true
			}
		}
	}
	delete(sockets, "")
	for socket := range sockets {
		records, _ := lease.All(folder.Of(socket)) // of what is torn the daemon's CHECK says that there is none
		if len(records) == 0 {
			continue
		}
		absent := call.Reach(socket)
		if errors.Is(absent, fs.ErrPermission) {
			absent = nil // whoever asks may not
		}
		for _, r := range records {
			list = append(list, doctor.Lease{Record: r, Absent: absent})
		}
	}
	return list
}
