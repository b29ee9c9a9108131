package ipam

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// Reclaim takes the addresses of the set, of the whole network where the set is nil, from owners that are provably dead, and
// returns how many. It reads every reservation, so it is called when a set has no address left, and on GC. What is not proven
// stays. It does nothing unless the policy says so.
func (s *Store) Reclaim(set Set) (int, error) {
	if !s.Policy.Reclaim {
		return 0, nil
	}
	files, err := s.scan()
	count, errs := 0, []error{err}
	for _, f := range files {
		if _, in := set.Find(f.Addr); set != nil && !in {
			continue
		}
		dead, err := s.reclaim(f)
		if dead {
			count++
		}
		errs = append(errs, err)
	}
	return count, errors.Join(errs...)
}

// ReclaimFrom does so for the addresses of one holder, and returns whether it holds none any more.
func (s *Store) ReclaimFrom(h Holder) (bool, error) {
	own, legacy, err := s.Held(h)
	if err != nil {
		return false, err
	}
	none := true
	for _, addr := range append(own, legacy...) {
		dead, err := s.reclaim(s.look(addr))
		if err != nil {
			return false, err
		}
		none = none && dead
	}
	return none, nil
}

// Dead says whether somebody in the set is provably dead, so that a full set would have room. It reads reservations until it
// finds one.
func (s *Store) Dead(set Set) (bool, error) {
	if !s.Policy.Reclaim {
		return false, nil
	}
	files, err := s.scan()
	for _, f := range files {
		if _, in := set.Find(f.Addr); in && s.proof(f) != "" {
			return true, err
		}
	}
	return false, err
}

// reclaim releases one address if its owner is provably dead, and writes it down.
func (s *Store) reclaim(f entry) (bool, error) {
	proof := s.proof(f)
	if !s.Policy.Reclaim || proof == "" {
		return false, nil
	}
	if s.Policy.Dry {
		s.Policy.Log("would reclaim %s from %s: %s", f.Addr, f.Holder, proof)
		return false, nil
	}
	if err := s.Release(f.Addr); err != nil {
		return false, err
	}
	s.Policy.Log("reclaimed %s from %s: %s", f.Addr, f.Holder, proof)
	return true, nil
}

// proof returns the proof that the owner of the file is dead, and "" where there is none.
func (s *Store) proof(f entry) string {
	if f.state != held || f.Holder.Unknown() || !f.recorded {
		return ""
	}
	proof := f.record.death(s.boot)
	if f.record.kind != recordHandle && f.record.boot == s.boot && hasLink(owner.Of(filepath.Base(s.path), f.Holder.ContainerID, f.Holder.IfName)) {
		return "" // a namespace may lose its name while its container lives
	}
	return proof
}

// hasLink says whether the host has the owner's link, whose other end keeps a namespace, or what kept it goes any moment.
func hasLink(o owner.Owner) bool {
	text, err := os.ReadFile("/proc/thread-self/net/dev")
	return err != nil || strings.Contains(string(text), " "+o.HostLink()+":") || strings.Contains(string(text), "\n"+o.HostLink()+":")
}
