package hostlocal

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// later is what to do where the ranges have no address yet, or no more of them: whoever writes the file gives the host another block.
const later = "the same call goes through once the host has another block of addresses: see who writes the file (trestle-node claim, or its log)"

// parseRangesFrom reads the path of the file that has the range sets. There are no others beside it: what the file loses must be
// lost, and nobody else's word stands in for it.
func parseRangesFrom(runtime, ipamKeys *keys.Object) string {
	path := ipamKeys.String("rangesFrom", "")
	if path == "" {
		return ""
	}
	if !filepath.IsAbs(path) {
		ipamKeys.Reject("rangesFrom", path, "must be an absolute path")
	}
	for _, beside := range []struct {
		in  *keys.Object
		key string
	}{{ipamKeys, "subnet"}, {ipamKeys, "rangeStart"}, {ipamKeys, "rangeEnd"}, {ipamKeys, "gateway"}, {ipamKeys, "ranges"}, {runtime, "ipRanges"}} {
		if beside.in.Has(beside.key) {
			beside.in.Reject(beside.key, beside.in.Raw(beside.key), "must not stand beside ipam.rangesFrom")
		}
	}
	return path
}

// readRanges takes the range sets from the file, where the configuration names one. The caller has the network's lock: between a
// file that shrank and a reservation there must be nobody who still goes by what it was. A file that is not there, or has no
// range, is an answer that the next call may not get: code fault.TryLater.
func (c *config) readRanges(r *plugin.Request) error {
	if c.rangesFrom == "" {
		return nil
	}
	text, err := plainfile.Read(c.rangesFrom)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.TryLater, later, "ipam.rangesFrom: %w", err)
	}
	if err != nil {
		return fault.New(fault.IO, "name a file that can be read", "ipam.rangesFrom: %w", err)
	}
	c.sets, err = parseRangesFile(text, r)
	if err != nil {
		return fault.New(fault.Config, "let who writes the file write it anew", "ipam.rangesFrom: %s: %w", c.rangesFrom, err)
	}
	if len(c.sets) == 0 {
		return fault.New(fault.TryLater, later, "ipam.rangesFrom: %s: no range: this host has no block of addresses", c.rangesFrom)
	}
	c.wanted, err = assign(c.asked, c.sets)
	return err
}

// parseRangesFile reads `{"network": "pods", "ranges": [[{"subnet": ...}, ...], ...]}`, ranges as in ipam.ranges; a set for which
// there is no range stands for none. Other members are the writer's own.
func parseRangesFile(text []byte, r *plugin.Request) ([]ipam.Set, error) {
	file, err := keys.Parse(text)
	if err != nil {
		return nil, err
	}
	if name := file.String("network", r.Network); name != r.Network {
		file.Reject("network", name, "must be "+r.Network+", or the network would share addresses with another")
	}
	named := parseRanges(file, "ranges", r.Command == "CHECK")
	rejectOverlaps(named)
	sets := setsOf(named)
	if r.Version < "0.3.0" {
		rejectManyOfOneFamily(r.Version, file, sets)
	}
	return sets, file.Err()
}

// spent turns the lack of an address in ranges that may grow into an error after which the runtime tries again.
func (c *config) spent(err error) error {
	if c.rangesFrom == "" || fault.Code(err) != fault.Exhausted {
		return err
	}
	return fault.New(fault.TryLater, later, "%w", err)
}
