// Package hostlocal is the CNI address plugin host-local: it reserves addresses of the host's own ranges, one for each range set,
// in files of the host. It keeps the configuration and the files of the plugin of that name in containernetworking/plugins.
//
// An address plugin is a parser and four verbs: reserve (ADD), release (DEL), held (CHECK), free (STATUS); GC releases what no
// valid attachment holds.
package hostlocal

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Plugin returns host-local.
func Plugin() plugin.Plugin {
	return plugin.Plugin{Name: "host-local", Args: true, Add: add, Del: del, Check: check, GC: gc, Status: status,
		Parse: func(r *plugin.Request) error { _, err := parse(r); return err }}
}

func holder(r *plugin.Request) ipam.Holder {
	return ipam.Holder{ContainerID: r.ContainerID, IfName: r.IfName}
}

// open opens the network's store, and makes it.
func open(ctx context.Context, r *plugin.Request, c config) (*ipam.Store, error) {
	s, err := ipam.Open(ctx, c.dataDir, r.Network, true)
	if err != nil {
		return nil, err
	}
	s.Policy = c.policy
	return s, nil
}

// existing opens the network's store; nil where the network has none and so nothing is reserved. Only an ADD makes one.
func existing(ctx context.Context, r *plugin.Request, c config) (*ipam.Store, error) {
	s, err := ipam.Open(ctx, c.dataDir, r.Network, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.Policy = c.policy
	return s, nil
}

// del releases every address of the container's interface, in whatever range and however the ranges have changed since. Files
// that name the container only count where no file names the interface too, as in the reference.
func del(ctx context.Context, r *plugin.Request) error {
	c, err := parseStore(r)
	if err != nil {
		return err
	}
	s, err := existing(ctx, r, c)
	if s == nil {
		return err
	}
	own, legacy, err := s.Held(holder(r))
	if len(own) == 0 {
		own = legacy
	}
	return errors.Join(err, release(s, own), s.Close())
}

// release lets go of all addresses, also where one of them resists.
func release(s *ipam.Store, addrs []netip.Addr) error {
	var errs []error
	for _, addr := range addrs {
		errs = append(errs, s.Release(addr))
	}
	return errors.Join(errs...)
}

// gc releases every address that no valid attachment holds, and removes what a crash tore. A file that names the container only
// stays while any interface of that container is valid. When the runtime named no attachments, only the provably dead lose theirs.
func gc(ctx context.Context, r *plugin.Request) error {
	c, err := parseStore(r)
	if err != nil {
		return err
	}
	valid, err := r.ValidAttachments()
	if err != nil {
		return err
	}
	s, err := existing(ctx, r, c)
	if s == nil {
		return err
	}
	if valid.Known && !r.DryRun() {
		err = releaseInvalid(s, r.Network, valid)
	} else {
		_, err = s.Reclaim(nil)
	}
	return errors.Join(err, s.Close())
}

func releaseInvalid(s *ipam.Store, network string, valid plugin.Valid) error {
	held, stale, err := s.All()
	for _, reservation := range held {
		if !keeps(network, valid, reservation.Holder) {
			stale = append(stale, reservation.Addr)
		}
	}
	return errors.Join(err, release(s, stale))
}

func keeps(network string, valid plugin.Valid, h ipam.Holder) bool {
	if h.Unknown() {
		return true
	}
	if !h.Legacy() {
		return valid.Keeps(owner.Of(network, h.ContainerID, h.IfName).ID)
	}
	for _, a := range valid.List {
		if a.ContainerID == h.ContainerID {
			return true
		}
	}
	return false
}
