package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// pluginList is a network as a conflist has it, or as a single plugin's configuration.
type pluginList struct {
	Name       string            `json:"name"`
	CNIVersion string            `json:"cniVersion"`
	Type       string            `json:"type"`
	Plugins    []json.RawMessage `json:"plugins"`
}

// pluginEntry is what the tool itself must know of an entry.
type pluginEntry struct {
	Type string `json:"type"`
	IPAM struct {
		Type string `json:"type"`
	} `json:"ipam"`
}

func entryOf(raw json.RawMessage) (e pluginEntry) {
	_ = json.Unmarshal(raw, &e) // what is no object was refused before
	return e
}

// parseList reads a network's configuration in either form. The entries of a plugin trestle in it stand for that plugin.
func parseList(text []byte) (pluginList, error) {
	var l pluginList
	if err := json.Unmarshal(text, &l); err != nil {
		return l, err
	}
	if l.Type != "" && !runsList(l.Type) {
		l.Plugins = []json.RawMessage{text}
	}
	var flat []json.RawMessage
	for _, entry := range l.Plugins {
		var inner pluginList
		if err := json.Unmarshal(entry, &inner); err != nil {
			return l, err
		}
		if runsList(inner.Type) {
			flat = append(flat, inner.Plugins...)
		} else {
			flat = append(flat, entry)
		}
	}
	l.Plugins = flat
	if len(flat) == 0 {
		return l, errors.New("plugins: none")
	}
	return l, nil
}

// runsList says whether the plugin runs a list of its own.
func runsList(kind string) bool { return known.Of(kind).Part == known.List }

// only leaves the plugins that the bundle holds. Others' know neither our verbs nor our ways, but DEL.
func (l pluginList) only(bundle plugin.Bundle) pluginList {
	l.Plugins = slices.DeleteFunc(slices.Clone(l.Plugins), func(entry json.RawMessage) bool {
		_, held := bundle[entryOf(entry).Type]
		return !held
	})
	return l
}

// request is one call of a whole list of plugins, in this process.
type request struct {
	pluginList
	Type          string                     `json:"type"`
	RuntimeConfig map[string]json.RawMessage `json:"runtimeConfig,omitempty"`
	PrevResult    json.RawMessage            `json:"prevResult,omitempty"`
	env           map[string]string
}

// requestFor is what a runtime would say of the attachment in a CHECK, to the plugins that the bundle holds.
func requestFor(e cache.Entry, bundle plugin.Bundle) (request, error) {
	r, err := requestToAll(e)
	r.pluginList = r.only(bundle)
	return r, err
}

// requestToAll is requestFor, to every plugin of the list.
func requestToAll(e cache.Entry) (request, error) {
	l, err := parseList(e.List)
	if err != nil {
		return request{}, fmt.Errorf("%s: config: %w", e.File, err)
	}
	r := request{pluginList: l, RuntimeConfig: e.Capabilities, PrevResult: e.Result}
	var result struct {
		CNIVersion string `json:"cniVersion"`
	}
	if json.Unmarshal(e.Result, &result) == nil && result.CNIVersion != "" {
		r.CNIVersion = result.CNIVersion // what the runtime and the list agreed on
	}
	r.env = map[string]string{"CNI_CONTAINERID": e.ContainerID, "CNI_IFNAME": e.IfName, "CNI_NETNS": e.Netns, "CNI_ARGS": e.Args}
	return r, nil
}

// call runs the verb. The lines are what the plugins said to the operator, each with the plugin's name; the error is theirs, with code and remedy.
func (r request) call(ctx context.Context, bundle plugin.Bundle, verb string) (lines []string, err error) {
	r.Type = known.Runner
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if verb == "CHECK" { // somebody looks: nothing happens to the container
		ctx = firewall.Thorough(journal.Silent(ctx))
	}
	env := map[string]string{"CNI_COMMAND": verb, "CNI_PATH": plugin.Self}
	for key, value := range r.env {
		env[key] = value
	}
	var out, log bytes.Buffer
	if bundle.Run(ctx, known.Runner, env, plugin.Streams{In: bytes.NewReader(text), Out: &out, Err: &log}) != 0 {
		err = reported(out.Bytes())
	}
	for line := range strings.Lines(log.String()) {
		if said, ours := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "trestle "); ours {
			lines = append(lines, said)
		}
	}
	return lines, err
}

// reported is the error that a plugin printed.
func reported(out []byte) error {
	var reply struct {
		Code         uint
		Msg, Details string
	}
	if err := json.Unmarshal(out, &reply); err != nil {
		return fault.New(fault.Internal, "", "no error object: %w: %.200q", err, out)
	}
	return fault.New(reply.Code, reply.Details, "%s", reply.Msg)
}

// checkBy asks the bundle's plugins for their CHECK of an attachment. nil without the right to enter its namespace.
func checkBy(bundle plugin.Bundle) func(context.Context, cache.Entry) *observe.Verdict {
	if !mayEnter() {
		return nil
	}
	return func(ctx context.Context, e cache.Entry) *observe.Verdict {
		r, err := requestFor(e, bundle)
		if err != nil || len(r.Plugins) == 0 {
			return nil
		}
		_, err = r.call(ctx, bundle, "CHECK")
		switch {
		case err == nil:
			return &observe.Verdict{}
		case fault.Code(err) == fault.Drift:
			return &observe.Verdict{Drifts: strings.Split(err.Error(), "; "), Remedy: fault.Hint(err)}
		}
		return nil // it failed, and has seen nothing
	}
}
