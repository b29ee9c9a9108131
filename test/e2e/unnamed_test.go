package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/test/nstest"
)

// departures are the ways of a container that the reference attached, and lets pass by rules with its address alone.
var departures = map[string]func(s *settled) error{
	"DEL": func(s *settled) error { return s.ours().DelNetworkList(s.Context(), s.list, s.runtime(0)) },
	"DEL without prevResult": func(s *settled) error {
		return forgotten(s).DelNetworkList(s.Context(), s.list, s.runtime(0))
	},
	"DEL without the plugin": func(s *settled) error {
		return s.ours().DelNetworkList(s.Context(), onlyFirst(s.list), s.runtime(0))
	},
	"DEL without prevResult and the plugin": func(s *settled) error {
		return forgotten(s).DelNetworkList(s.Context(), onlyFirst(s.list), s.runtime(0))
	},
	"GC":                    func(s *settled) error { return s.collected(s.list) },
	"GC without the plugin": func(s *settled) error { return s.collected(onlyFirst(s.list)) },
}

// forgotten is a runtime that has lost its results.
func forgotten(s *settled) *libcni.CNIConfig {
	must(s.T, os.RemoveAll("/var/lib/cni/results"))
	return s.ours()
}

// onlyFirst is the list with nothing but the plugin that makes the interface.
func onlyFirst(list *libcni.NetworkConfigList) *libcni.NetworkConfigList {
	short := *list
	short.Plugins = list.Plugins[:1]
	return &short
}

// collected calls for a GC that keeps the second container.
func (s *settled) collected(list *libcni.NetworkConfigList) error {
	newer := *list
	newer.CNIVersion = "1.1.0"
	kept := s.runtime(1)
	return forgotten(s).GCNetworkList(s.Context(), &newer, &libcni.GCArgs{ValidAttachments: []types.GCAttachment{{ContainerID: kept.ContainerID, IfName: kept.IfName}}})
}

// TestRulesThatNameNobody has a container of the reference's go in every way: what let it pass goes, since the next one gets its address, and that of
// its neighbour stays.
func TestRulesThatNameNobody(t *testing.T) {
	t.Parallel()
	for way, leave := range departures {
		for build, from := range takenFrom() {
			t.Run(way+"/"+build, func(t *testing.T) {
				t.Parallel()
				plugins := strings.NewReplacer("%s", from.masquerade, `"portmap",`, `"portmap", `+from.ports).Replace(adopted["all"]) + `, {"type": "firewall"}`
				nstest.Run(t, func(t *testing.T) {
					s := settledBy(t, from.dir, plugins)
					must(t, leave(s))
					rules := filterTables(t)
					for _, gone := range []string{"10.1.0.2/32", "fd00:1::2/128"} {
						if strings.Contains(rules, gone) {
							t.Errorf("left of %s:\n%s", gone, rules)
						}
					}
					for _, stays := range []string{"-s 10.1.0.3/32 -j ACCEPT", "-s fd00:1::3/128 -j ACCEPT"} {
						if !strings.Contains(rules, stays) {
							t.Errorf("the neighbour's %s is gone:\n%s", stays, rules)
						}
					}
				})
			})
		}
	}
}
