package trace

import (
	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
)

// namePods calls the places of pods by the names that Kubernetes has for them.
func (t *Town) namePods(results string) {
	places := make(map[uint64]*Place)
	for _, p := range t.Places {
		if p.Path != "" {
			places[netns.Number(p.Path)] = p
		}
	}
	entries, _ := cache.Read(results) // what is torn has no name
	for _, e := range entries {
		if p := places[netns.Number(e.Netns)]; p != nil && e.Netns != "" && e.Pod() != "" {
			p.Name = e.Pod()
		}
	}
}
