package plugin

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Each verb came with a version of the protocol; an older configuration cannot ask for it.
var since = map[string]string{"ADD": "0.1.0", "DEL": "0.1.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}

// checkVersion takes one of the versions that the plugin speaks, and no other text: what is no version at all is not supported either.
func (r *Request) checkVersion(version string, supported []string) error {
	if !slices.Contains(supported, version) {
		return fault.New(fault.Version, "use one of the versions listed",
			"cniVersion: %q: %s speaks %s", version, r.Plugin, strings.Join(supported, ", "))
	}
	if need := since[r.Command]; slices.Index(Versions(), version) < slices.Index(Versions(), need) {
		return fault.New(fault.Version, "raise the configuration's cniVersion",
			"cniVersion: %s: has no %s, which came with %s", version, r.Command, need)
	}
	r.Version = version
	return nil
}

func printVersions(p Plugin, s Streams) error {
	err := json.NewEncoder(s.Out).Encode(struct {
		Version   string   `json:"cniVersion"`
		Supported []string `json:"supportedVersions"`
	}{Current, p.Versions})
	if err != nil {
		return fault.New(fault.IO, "", "standard output: %w", err)
	}
	return nil
}
