package endpoint

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Sysctls reads the key sysctl: settings below net by their names, in the order in which they stand, which is that in which they are written. A name may be
// written with dots, slashes or both, and IFNAME stands for the container's interface.
func Sysctls(k *keys.Object, ifName string) (list []step.Sysctl) {
	raw := k.Raw("sysctl")
	if raw == nil {
		return nil
	}
	in := k.Object("sysctl")
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil // in has complained
	}
	seen := make(map[string]bool)
	for decoder.More() {
		token, _ := decoder.Token() // valid JSON, as all of it
		name, _ := token.(string)
		var value *string
		if err := decoder.Decode(&value); err != nil || value == nil {
			in.Reject(name, in.Raw(name), "must be a string")
			continue
		}
		key, rule := sysctlKey(name, ifName)
		if seen[name] {
			rule = "is there twice"
		}
		if rule != "" {
			in.Reject(name, *value, rule)
			continue
		}
		seen[name] = true
		list = Merged(list, []step.Sysctl{{Key: key, Value: *value, Name: name}})
	}
	return list
}

// LinkSysctls reads the key sysctl of a plugin that makes the interface: settings of that alone, which go with it.
func LinkSysctls(k *keys.Object, ifName string) []step.Sysctl {
	list := Sysctls(k, ifName)
	for _, s := range list {
		if s.Key == "net/ipv6/conf/"+ifName+"/mtu" {
			k.Object("sysctl").Reject(s.Name, s.Value, "must be left to the plugin tuning: the kernel gives it the interface's own when that comes up")
		}
		if !OfLink(s.Key, ifName) {
			k.Object("sysctl").Reject(s.Name, s.Value, "must be a setting of the interface, as net.ipv4.conf.IFNAME.arp_filter: the plugin tuning is for others")
		}
	}
	return list
}

// OfLink says whether the path is that of a setting of the interface.
func OfLink(key, ifName string) bool {
	words := strings.Split(key, "/")
	return len(words) > 4 && (words[2] == "conf" || words[2] == "neigh") && words[3] == ifName
}

// sysctlKey is the path below /proc/sys. The name of an interface may have dots itself, so what stands between conf or neigh and the last word is one name.
func sysctlKey(name, ifName string) (key, rule string) {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '/' })
	if len(words) < 2 || words[0] != "net" {
		return "", "must be a setting below net, as in net.ipv4.conf.IFNAME.arp_filter"
	}
	for i, word := range words {
		if word == "IFNAME" {
			words[i] = ifName
		}
	}
	const at = 3 // net/ipv4/conf/NAME/setting
	if last := len(words) - 1; last > at && (words[at-1] == "conf" || words[at-1] == "neigh") {
		words = append(words[:at:at], strings.Join(words[at:last], "."), words[last])
	}
	return strings.Join(words, "/"), ""
}

// Merged is the first list with the settings of the second, which win.
func Merged(list, more []step.Sysctl) []step.Sysctl {
	for _, s := range more {
		if i := slices.IndexFunc(list, func(other step.Sysctl) bool { return other.Key == s.Key }); i >= 0 {
			list = slices.Clone(list)
			list[i] = s
			continue
		}
		list = append(list, s)
	}
	return list
}
