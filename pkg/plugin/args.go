package plugin

import (
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// knownArgs is the union of what the suite's plugins read from CNI_ARGS. A main plugin and its IPAM plugin see the same string, so
// each must accept the other's keys. The names that Kubernetes runtimes send come with IgnoreUnknown.
var knownArgs = []string{"IgnoreUnknown", "MAC", "IP", "GATEWAY"}

// parseArgs reads KEY=VALUE pairs separated by semicolons, of which some may be left over at the end. Keys are case-sensitive, as in the reference. What could be read is
// returned beside an error.
func parseArgs(text string) (map[string]string, error) {
	args := make(map[string]string)
	if text = strings.TrimRight(text, ";"); text == "" {
		return args, nil
	}
	var bad []string
	for pair := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || strings.Contains(value, "=") {
			bad = append(bad, pair)
			continue
		}
		args[key] = value
	}
	if len(bad) > 0 {
		return args, fault.New(fault.Environment, "use KEY=VALUE pairs separated by ;", "CNI_ARGS: %q: not KEY=VALUE", strings.Join(bad, ";"))
	}
	return args, checkKnown(args)
}

func checkKnown(args map[string]string) error {
	switch ignore := strings.ToLower(args["IgnoreUnknown"]); ignore {
	case "1", "true":
		return nil
	case "", "0", "false":
	default:
		return fault.New(fault.Environment, "use 1, 0, true or false", "CNI_ARGS: IgnoreUnknown: %q: not a truth value", ignore)
	}
	var unknown []string
	for key := range args {
		if !slices.Contains(knownArgs, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fault.New(fault.Environment, "add IgnoreUnknown=1", "CNI_ARGS: %s: unknown", strings.Join(unknown, ", "))
	}
	return nil
}
