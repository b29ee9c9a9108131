package laws

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/trestle-cni/trestle/pkg/step"
)

// Chain is one network: its plugins in their order, as a conflist has them.
type Chain struct {
	File    string // for people
	Network string
	Version string // cniVersion
	Plugins []Config
}

// Config is the configuration of one plugin of a chain. A runtimeConfig in it is what a runtime would add for one container.
type Config map[string]json.RawMessage

// Type returns the plugin's name.
func (c Config) Type() string { return text(c["type"]) }

func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // absent: empty
	return s
}

// ReadConfig reads a file with the configuration of one plugin, to come after the others given.
func ReadConfig(file string, before ...Config) (Chain, error) {
	config, err := decode[Config](file)
	if err != nil {
		return Chain{}, err
	}
	return Chain{File: file, Network: text(config["name"]), Version: text(config["cniVersion"]), Plugins: append(before, config)}, nil
}

// ReadList reads a conflist. A plugin with the capability portMappings gets two.
func ReadList(file string) (Chain, error) {
	list, err := decode[struct {
		Name, CNIVersion string
		Plugins          []Config
	}](file)
	if err != nil {
		return Chain{}, err
	}
	for _, config := range list.Plugins {
		var capabilities map[string]bool
		if raw := config["capabilities"]; raw != nil {
			if err := json.Unmarshal(raw, &capabilities); err != nil {
				return Chain{}, fmt.Errorf("%s: capabilities: %w", file, err)
			}
		}
		if capabilities["portMappings"] {
			config["runtimeConfig"] = json.RawMessage(`{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
				{"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]}`)
		}
	}
	return Chain{File: file, Network: list.Name, Version: list.CNIVersion, Plugins: list.Plugins}, nil
}

func decode[T any](file string) (value T, err error) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &value)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return value, err
}

// lists says whether the chain is one plugin that runs a list of them.
func (c Chain) lists() bool { return c.Plugins[0].Type() == "trestle" }

// flat returns the world with the plugins of a list as the chain, as the runtime of a flat conflist would call them; other worlds as they are.
func (w *World) flat() *World {
	if !w.lists() {
		return w
	}
	flat, outer := *w, w.Plugins[0]
	flat.Plugins = nil
	if err := json.Unmarshal(outer["plugins"], &flat.Plugins); err != nil {
		w.Fatalf("%s: plugins: %v", w.File, err)
	}
	for _, config := range flat.Plugins {
		if config["capabilities"] != nil {
			config["runtimeConfig"] = outer["runtimeConfig"]
		}
	}
	return &flat
}

// outer is the plugin that a runtime calls for the flat chain's member.
func (c Chain) outer(member int) int {
	if c.lists() {
		return 0
	}
	return member
}

// Speaks says whether the chain's version of the protocol has the verb.
func (c Chain) Speaks(verb string) bool {
	switch verb {
	case "CHECK":
		return slices.Contains([]string{"0.4.0", "1.0.0", "1.1.0"}, c.Version)
	case "GC", "STATUS":
		return c.Version == "1.1.0"
	}
	return true
}

// filtersVLANs says whether the chain needs a bridge that filters VLANs, which not every kernel has.
func (c Chain) filtersVLANs() bool {
	return slices.ContainsFunc(c.Plugins, func(p Config) bool {
		return p["vlan"] != nil && string(p["vlan"]) != "0" || p["vlanTrunk"] != nil
	})
}

// links are the kinds of links that the chain's plugins make and that not every kernel has. Each is named after the plugin, or after the key that asks for it.
func (c Chain) links() (kinds []string) {
	for _, p := range c.Plugins {
		if slices.Contains([]string{"dummy", "ipvlan", "vlan", "vrf"}, p.Type()) {
			kinds = append(kinds, p.Type())
		}
		if kind := text(p["linkType"]); kind == step.Netkit {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// opens says whether the network has links that are asked for by a device file.
func (c Chain) opens() bool {
	return slices.ContainsFunc(c.Plugins, func(p Config) bool { return p.Type() == "tap" })
}

// stdin returns what the runtime sends to plugin number member for the container.
func (c Chain) stdin(call call) ([]byte, error) {
	config := maps.Clone(c.Plugins[call.member])
	set := func(key string, value any) {
		config[key], _ = json.Marshal(value) // strings and valid JSON cannot fail
	}
	set("name", c.Network)
	set("cniVersion", c.Version)
	if call.prev != nil {
		set("prevResult", json.RawMessage(call.prev))
	}
	if call.verb == "GC" && !call.unlisted {
		set("cni.dev/valid-attachments", call.valid)
	}
	err := own(config, call.of.Number)
	if call.bare {
		delete(config, "runtimeConfig")
	}
	for key, value := range call.runtime {
		set("runtimeConfig", map[string]any{key: value})
	}
	if call.spoil != nil {
		call.spoil(call.member, config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return json.Marshal(config)
}

// deviceOf is the device of container number n.
func deviceOf(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n)
}

// own makes of what the configuration asks for one container what it asks for container number n: other host ports for each; an
// address or a MAC by name for the first container only.
func own(config Config, n int) error {
	if n == 0 {
		return nil
	}
	delete(config, "args")
	if id, err := strconv.Atoi(string(config["vlanId"])); err == nil { // a parent has one link a VLAN
		config["vlanId"] = json.RawMessage(strconv.Itoa(id + n))
	}
	if device := text(config["device"]); device != "" {
		config["device"] = json.RawMessage(strconv.Quote(deviceOf(device, n)))
	}
	if config["runtimeConfig"] == nil {
		return nil
	}
	var runtime struct {
		PortMappings []map[string]any `json:"portMappings,omitempty"`
		IPRanges     any              `json:"ipRanges,omitempty"`
	}
	if err := json.Unmarshal(config["runtimeConfig"], &runtime); err != nil {
		return err
	}
	for _, m := range runtime.PortMappings {
		if port, ok := m["hostPort"].(float64); ok {
			m["hostPort"] = int(port) + 100*n
		}
	}
	raw, err := json.Marshal(runtime)
	config["runtimeConfig"] = raw
	return err
}
