package laws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// AnyRefused is law 12: after an ADD that was refused, for any reason, a DEL with the same input succeeds, and the state is as before. An input that this
// plugin does not mind is added and deleted.
func AnyRefused(w *World) error {
	if err := w.prime(); err != nil {
		return err
	}
	before := w.snapshot()
	refused := 0
	inputs := w.spoilt()
	for i, name := range slices.Sorted(maps.Keys(inputs)) {
		if !w.sampled(i) {
			continue
		}
		input := inputs[name]
		input.of = w.one
		_, err := w.addAs(w.inProcess, input, len(w.Plugins))
		if err != nil {
			refused++
		}
		var failure *Failure
		if err != nil && !errors.As(err, &failure) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := w.del(w.inProcess, input); err != nil {
			return fmt.Errorf("%s: after %v: %w", name, failure, err)
		}
		if err := w.same(before, fmt.Sprintf("%s: ADD that said %v, and DEL", name, failure)); err != nil {
			return err
		}
	}
	if refused == 0 {
		return errors.New("every input was taken")
	}
	return nil
}

// spoilt lists what may be wrong with a call: each of these keys in each of the plugins, and names. In a list it is wrong in all entries.
func (w *World) spoilt() map[string]call {
	inputs := make(map[string]call)
	for _, keys := range []string{
		`"ipam":"x"`, `"ipam":[]`, `"ipam":{"type":5}`, `"ipam":{"type":"../x"}`, `"ipam":{"type":"nosuch"}`, `"ipam":{"type":"bridge"}`, `"ipam":{"type":""}`,
		`"ipam":{"type":"host-local","dataDir":5}`, `"ipam":{"type":"host-local","dataDir":"/dev/null","subnet":"10.1.0.0/24"}`,
		`"ipam":{"type":"host-local","subnet":"10.1.0.0/31"}`, `"ipam":{"type":"host-local"}`, `"bridge":"sixteen-letters-"`, `"bridge":"br%d"`,
		`"bridge":"a/b"`, `"bridge":7`, `"bridge":"lo"`, `"mtu":-1`, `"mtu":"x"`, `"vlan":5000`, `"ipMasqBackend":"x"`, `"backend":"x"`, `"runtimeConfig":5`,
		`"runtimeConfig":{"portMappings":[{}]}`, `"prevResult":[1]`, `"plugins":[]`, `"plugins":"x"`, `"plugins":[{"type":"nosuch"}]`,
		`"master":"br%d"`, `"master":"sixteen-letters-"`, `"master":"e\u001b[31m"`, `"master":7`, `"master":"lo"`, `"device":"a/b"`, `"device":"e\u007f"`, `"device":"lo"`,
		`"vrfname":"a b"`, `"vrfname":"all"`, `"mode":"x"`, `"sysctl":{"net/../x":"1"}`, `"sysctl":5`, `"sysctl":{"kernel.hostname":"x"}`, `"dataDir":"here"`, `"dataDir":"/dev/null"`,
		`"gateways":["x"]`, `"table":-1`, `"iptablesAdminChainName":"a b"`, `"ingressPolicy":"x"`, `"ingressRate":-1`, `"mac":"x"`, `"linkType":"x"`, `"restore":"x"`,
		`"ipam":{"type":"dhcp","daemonSocketPath":"/dev/null"}`, `"ipam":{"type":"static","addresses":[{"address":"x"}]}`, `"ipam":{"type":"static"}`,
		`"plugins":[{"type":"bridge","bridge":"sixteen-letters-"}]`, `"plugins":[{"type":"loopback"},{"type":"nosuch"}]`,
	} {
		for at := range w.Plugins {
			inputs[fmt.Sprintf("plugin %d with %s", at, keys)] = call{spoil: func(member int, config Config) {
				if member == at {
					config.become(keys)
				}
			}}
		}
	}
	for _, ifName := range []string{"eth\x7f", "e\x1b[31m", "eth%d", "%", "\xc3\xa0", "e\u0085", "eth 0", "sixteen-letters-", "all", "..", "a/b", "\xff"} {
		inputs[fmt.Sprintf("interface %q", ifName)] = call{env: map[string]string{"CNI_IFNAME": ifName}}
	}
	for _, id := range []string{strings.Repeat("c", 5000), strings.Repeat("c", 300), "../c", "c d"} {
		inputs[fmt.Sprintf("container %.20q of %d bytes", id, len(id))] = call{env: map[string]string{"CNI_CONTAINERID": id}}
	}
	inputs["no namespace there"] = call{env: map[string]string{"CNI_NETNS": "/run/netns/none"}}
	inputs["a file for a namespace"] = call{env: map[string]string{"CNI_NETNS": "/dev/null"}}
	inputs["arguments"] = call{env: map[string]string{"CNI_ARGS": "a"}}
	return inputs
}
