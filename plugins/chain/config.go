package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// members are a JSON object's, in their own spelling: an entry may be for a plugin that minds it.
type members map[string]json.RawMessage

// config is the list, as far as the chain itself must understand it.
type config struct {
	links   []link
	runtime members // runtimeConfig
	shared  members // what the runtime says to every plugin: args, cni.dev/*
}

// link is one entry of the list.
type link struct {
	kind         string
	entry        members
	capabilities []string // those that it declares
	again        bool     // an earlier entry is of the same kind
}

// parse reads the list. The outer capabilities must be the union of the inner ones, because a runtime hands out by the outer ones.
func parse(req *plugin.Request) (config, error) {
	k := req.Keys
	c := config{runtime: decode(k.Raw("runtimeConfig")), shared: make(members)}
	for key, value := range decode(req.Config) {
		if strings.EqualFold(key, "args") || strings.HasPrefix(key, "cni.dev/") {
			c.shared[key] = value
		}
	}
	raw := k.List("plugins")
	for i, entry := range k.Objects("plugins") {
		l := link{kind: entry.String("type", ""), entry: decode(raw[i]), capabilities: declared(entry)}
		if l.kind == "" || l.kind == Name || strings.ContainsRune(l.kind, '/') {
			entry.Reject("type", l.kind, "must be a plugin's name, without a path, and not trestle")
			continue
		}
		l.again = slices.ContainsFunc(c.links, func(earlier link) bool { return earlier.kind == l.kind })
		c.links = append(c.links, l)
	}
	if len(raw) == 0 {
		k.Reject("plugins", k.Raw("plugins"), "must be a list of at least one plugin")
	}
	if req.Command == "ADD" || req.Command == "STATUS" {
		c.rejectMissing(k)
	}
	return c, k.Err()
}

// everything is the list and, where that has lost its entries, what makes interfaces: with it goes whatever the attachment has on the host. An entry of
// somebody else's may have made the interface itself.
func (c config) everything(req *plugin.Request) []link {
	makers := req.Makers()
	mayHave := func(l link) bool { return !req.Bundled(l.kind) || slices.Contains(makers, l.kind) }
	if slices.ContainsFunc(c.links, mayHave) {
		return c.links
	}
	var list []link
	for _, kind := range makers {
		list = append(list, link{kind: kind, entry: members{"type": quote(kind)}})
	}
	return append(list, c.links...)
}

// decode returns the members of an object; none where package keys complained that it is no object.
func decode(raw json.RawMessage) members {
	m := make(members)
	_ = json.Unmarshal(raw, &m)
	return m
}

// declared returns the names under capabilities that are true.
func declared(o *keys.Object) []string {
	var names []string
	capabilities := o.Object("capabilities")
	for name := range decode(o.Raw("capabilities")) {
		if capabilities.Bool(name, false) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (c config) rejectMissing(k *keys.Object) {
	outer := declared(k)
	for _, l := range c.links {
		for _, name := range l.capabilities {
			if !slices.Contains(outer, name) {
				k.Reject("capabilities", outer, fmt.Sprintf("must have %s, which the plugin %s declares", name, l.kind))
			}
		}
	}
}

// call calls one plugin of the list with what a runtime would give it, and returns the result that an ADD printed.
func (c config) call(ctx context.Context, req *plugin.Request, l link, command string, result json.RawMessage) (json.RawMessage, error) {
	text := c.full(req, l, result).text()
	if l.again {
		inner := *req
		inner.Environ = maps.Clone(req.Environ)
		inner.Environ[plugin.Again] = "1"
		req = &inner
	}
	return req.Invoke(ctx, l.kind, command, text)
}

// full is the configuration that a runtime would give the plugin.
func (c config) full(req *plugin.Request, l link, result json.RawMessage) members {
	full := maps.Clone(l.entry)
	for key, value := range c.shared {
		full.set(key, value)
	}
	full.set("name", quote(req.Network))
	full.set("cniVersion", quote(req.Version))
	if given := c.given(l); given != nil { // else what stands in the entry stays, as with a runtime
		full.set("runtimeConfig", given)
	}
	full.set("prevResult", result)
	return full
}

// hasten lets the plugin that makes the interface do what those after it would do too late, if it is of this binary: then it knows the keys.
func (c config) hasten(req *plugin.Request) {
	if !slices.Contains(req.Makers(), c.links[0].kind) {
		return
	}
	first := maps.Clone(c.links[0].entry)
	for _, l := range c.links[1:] {
		for key, value := range req.Ahead(l.kind, c.full(req, l, nil).text()) {
			all := decode(first.get(key))
			maps.Copy(all, decode(value))
			first.set(key, all.text())
		}
	}
	c.links[0].entry = first
}

// given returns the part of runtimeConfig that the plugin declares; nil when there is none.
func (c config) given(l link) json.RawMessage {
	given := make(members)
	for _, name := range l.capabilities {
		if value, ok := c.runtime[name]; ok {
			given[name] = value
		}
	}
	if len(given) == 0 {
		return nil
	}
	return given.text()
}

// get returns the member of that name in any case.
func (m members) get(name string) json.RawMessage {
	for key, value := range m {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return nil
}

// set replaces the member of that name in any case; nil removes it.
func (m members) set(name string, value json.RawMessage) {
	maps.DeleteFunc(m, func(key string, _ json.RawMessage) bool { return strings.EqualFold(key, name) })
	if value != nil {
		m[name] = value
	}
}

// text prints what came out of JSON, which cannot fail.
func (m members) text() json.RawMessage {
	text, _ := json.Marshal(m)
	return text
}

func quote(s string) json.RawMessage {
	text, _ := json.Marshal(s)
	return text
}
