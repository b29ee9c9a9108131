package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trestle-cni/trestle/test/runtimes/calls"
)

// recorded is a call as a fixture has it, for test/e2e to make again: the previous result is left to the replay, and of the result only the
// addresses are kept, since names of links and MACs are another's there.
type recorded struct {
	Plugin, Verb string
	Env          map[string]string
	Config       map[string]json.RawMessage `json:",omitempty"`
	Status       int
	IPs          []string `json:",omitempty"`
}

// keepCalls writes what the runtime sent as a fixture. Calls of address plugins are left out: bridge makes them, not the runtime.
func keepCalls(file string) error {
	list, err := calls.Read(callsFile)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("[\n")
	separator := ""
	for _, call := range list {
		if call.Plugin == "host-local" {
			continue
		}
		line, err := json.Marshal(record(call))
		if err != nil {
			return err
		}
		out.WriteString(separator + string(line))
		separator = ",\n"
	}
	return os.WriteFile(file, []byte(plain(out.String()+"\n]\n")), 0o644)
}

func record(call calls.Call) recorded {
	r := recorded{Plugin: call.Plugin, Verb: call.Verb, Env: call.Env, Status: call.Status}
	delete(r.Env, "CNI_COMMAND")
	delete(r.Env, "CNI_PATH")
	if json.Unmarshal(call.Stdin, &r.Config) == nil && r.Config["prevResult"] != nil {
		r.Config["prevResult"] = json.RawMessage(`"of the last ADD"`)
	}
	var result struct {
		IPs []struct{ Address string }
	}
	if call.Verb == "ADD" && json.Unmarshal(call.Stdout, &result) == nil {
		for _, ip := range result.IPs {
			r.IPs = append(r.IPs, ip.Address)
		}
	}
	return r
}

// random is what differs from run to run: container IDs, names of namespaces, process IDs.
var random = regexp.MustCompile(`[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|/proc/[0-9]+|buildah-buildah[0-9]+|cnitool-[0-9a-f]{20}`)

// plain puts something of the same shape in the place of each, the same for the same.
func plain(text string) string {
	known := make(map[string]string)
	text = random.ReplaceAllStringFunc(text, func(found string) string {
		if known[found] == "" {
			n := len(known) + 1
			digest := fmt.Sprintf("%x", sha256.Sum256([]byte{byte(n)}))
			switch {
			case strings.HasPrefix(found, "/"):
				known[found] = fmt.Sprintf("/proc/%d", 1000+n)
			case len(found) == 64:
				known[found] = digest
			case strings.HasPrefix(found, "buildah"):
				known[found] = fmt.Sprintf("buildah-buildah%d", 1000+n)
			case strings.HasPrefix(found, "cnitool"):
				known[found] = "cnitool-" + digest[:20]
			default:
				known[found] = digest[:8] + "-" + digest[:4] + "-" + digest[:4] + "-" + digest[:4] + "-" + digest[:12]
			}
		}
		return known[found]
	})
	for found, instead := range known { // podman's aliases have the beginning of an ID
		if len(found) == 64 {
			text = strings.ReplaceAll(text, found[:12], instead[:12])
		}
	}
	return strings.ReplaceAll(text, filepath.Clean(binDir), "/opt/cni/bin")
}
