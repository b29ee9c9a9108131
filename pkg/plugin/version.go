package plugin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Each verb came with a version of the protocol; an older configuration cannot ask for it.
var since = map[string]string{"ADD": "0.1.0", "DEL": "0.1.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}

func (r *Request) checkVersion(version string, supported []string) error {
	have, err := versionNumbers(version)
	if err != nil {
		return fault.New(fault.Decoding, "use a version of the CNI specification, as in 1.0.0", "cniVersion: %q: %w", version, err)
	}
	if need, _ := versionNumbers(since[r.Command]); slices.Compare(have[:], need[:]) < 0 {
		return fault.New(fault.Version, "raise the configuration's cniVersion",
			"cniVersion: %s: has no %s, which came with %s", version, r.Command, since[r.Command])
	}
	if !slices.Contains(supported, version) {
		return fault.New(fault.Version, "use one of the versions listed",
			"cniVersion: %s: %s speaks %s", version, r.Plugin, strings.Join(supported, ", "))
	}
	r.Version = version
	return nil
}

func versionNumbers(version string) (numbers [3]int, err error) {
	parts := strings.Split(version, ".")
	if len(parts) > 3 {
		return numbers, fmt.Errorf("more than three numbers")
	}
	for i, part := range parts {
		if numbers[i], err = strconv.Atoi(part); err != nil {
			return numbers, fmt.Errorf("%q is not a number", part)
		}
	}
	return numbers, nil
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
