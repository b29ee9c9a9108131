package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

func configChecks() []Check {
	return []Check{
		{"conflist-broken", Error, "runtimes skip a configuration that they cannot read, or refuse to start containers",
			(*Picture).brokenConflists, nil},
		{"version-unknown", Error, "a runtime that does not know the version of a configuration does not use it",
			(*Picture).unknownVersions, nil},
		{"network-twice", Warning, "a runtime takes the first file with a network's name, and the other one is without effect",
			(*Picture).networksTwice, nil},
		{"plugin-missing", Error, "no container gets this network while a plugin of its list is missing", (*Picture).missingPlugins, nil},
		{"plugin-not-executable", Error, "a runtime cannot run the plugin", (*Picture).deadPlugins, nil},
		{"plugin-version", Error, "the plugin refuses every call in a version that it does not speak",
			(*Picture).pluginVersions, []string{"plugin-not-executable"}},
		{"subnet-overlap-network", Warning, "two containers may have one address, and the host reaches one of them only",
			(*Picture).overlaps, nil},
		{"subnet-overlap-uplink", Error, "what the route leads to cannot be reached, or the containers cannot", (*Picture).uplinkOverlaps, nil},
		{"range-full", Error, "the next container that wants an address gets none",
			func(p *Picture) []Finding { return p.ranges(true) }, []string{"leaked-address"}},
		{"range-nearly-full", Warning, "soon a container that wants an address gets none",
			func(p *Picture) []Finding { return p.ranges(false) }, []string{"leaked-address"}},
	}
}

const aboutVersion = "cniVersion: "

func (p *Picture) complaints(version bool, remedy string) (found []Finding) {
	for _, f := range p.Configs {
		for _, c := range f.Complaints {
			if strings.HasPrefix(c.Text, aboutVersion) == version {
				found = append(found, Finding{Object: f.Path, What: c.String(), Remedy: remedy})
			}
		}
	}
	return found
}

func (p *Picture) brokenConflists() []Finding { return p.complaints(false, "mend the file there") }
func (p *Picture) unknownVersions() []Finding {
	return p.complaints(true, "write a version that is known")
}

func (p *Picture) networksTwice() (found []Finding) {
	first := make(map[string]string)
	for _, f := range p.Configs {
		if f.Name == "" {
			continue
		}
		if other, twice := first[f.Name]; twice {
			found = append(found, Finding{Object: f.Path,
				What: fmt.Sprintf("network %s: %s has it, too", f.Name, other), Remedy: "rename one of them, or remove it"})
			continue
		}
		first[f.Name] = f.Path
	}
	return found
}

// eachPlugin calls f for each plugin of each list, and for its address plugin.
func (p *Picture) eachPlugin(f func(file *conflist.File, kind string)) {
	for _, file := range p.Configs {
		var seen []string
		for _, plugin := range file.Plugins {
			for _, kind := range []string{plugin.Type, plugin.IPAM} {
				if kind != "" && !slices.Contains(seen, kind) {
					seen = append(seen, kind)
					f(file, kind)
				}
			}
		}
	}
}

func (p *Picture) missingPlugins() (found []Finding) {
	p.eachPlugin(func(file *conflist.File, kind string) {
		if _, there := p.Plugins[kind]; !there {
			found = append(found, Finding{Object: file.Path, cause: kind,
				What:   fmt.Sprintf("network %s: plugin %s: not in %s", file.Name, kind, strings.Join(p.Dirs, ", ")),
				Remedy: "install it (trestle install --bin-dir DIR, for those that Trestle has)"})
		}
	})
	return found
}

func (p *Picture) deadPlugins() (found []Finding) {
	p.eachPlugin(func(file *conflist.File, kind string) {
		if plugin, there := p.Plugins[kind]; there && !plugin.Executable {
			found = append(found, Finding{Object: plugin.Path, cause: kind, What: fmt.Sprintf("plugin %s of network %s: not executable", kind, file.Name),
				Remedy: "chmod 755 " + plugin.Path, Fix: &Fix{Kind: Executable, Name: plugin.Path}})
		}
	})
	return found
}

func (p *Picture) pluginVersions() (found []Finding) {
	p.eachPlugin(func(file *conflist.File, kind string) {
		plugin := p.Plugins[kind]
		if file.CNIVersion == "" || len(plugin.Versions) == 0 || slices.Contains(plugin.Versions, file.CNIVersion) ||
			slices.ContainsFunc(file.Complaints, func(c conflist.Complaint) bool { return strings.HasPrefix(c.Text, aboutVersion) }) {
			return
		}
		found = append(found, Finding{Object: plugin.Path, What: fmt.Sprintf("plugin %s speaks %s, and network %s has cniVersion %s", kind,
			strings.Join(plugin.Versions, ", "), file.Name, file.CNIVersion), Remedy: "install a newer one, or write a version that it speaks"})
	})
	return found
}

func (p *Picture) overlaps() (found []Finding) {
	list := p.subnets()
	for i, a := range list {
		for _, b := range list[:i] {
			if a.network != b.network && a.prefix.Overlaps(b.prefix) && !a.apart(b) {
				found = append(found, Finding{Object: "network " + a.network, What: fmt.Sprintf("subnet %s (%s) overlaps %s of network %s", a.prefix,
					place(a), b.prefix, b.network), Remedy: "give one of them another subnet"})
			}
		}
	}
	return found
}

func place(s subnet) string {
	return fmt.Sprintf("%s:%d:%d", s.file.Path, s.node.Line, s.node.Column)
}

func (p *Picture) uplinkOverlaps() (found []Finding) {
	ours := make(map[string]bool)
	for bridge := range p.bridges() {
		ours[bridge] = true
	}
	list := p.subnets()
	for _, s := range list {
		ours[s.bridge] = true
	}
	for _, s := range list {
		for _, r := range p.Host.Own().Routes {
			l := p.Host.Own().Named(r.Link)
			if l == nil || ours[l.Name] || l.Name == s.lan || l.Attachment != "" || l.Name == "lo" || !somebodys(r) || !r.Destination.Overlaps(s.prefix) {
				continue
			}
			found = append(found, Finding{Object: "network " + s.network,
				What: fmt.Sprintf("subnet %s (%s) overlaps the host's route to %s by %s", s.prefix,
					place(s), r.Destination, r.Link), Remedy: "give the network another subnet"})
		}
	}
	return found
}

// somebodys says whether the route leads to somebody in particular.
func somebodys(r observe.Route) bool {
	const main = 254
	to := r.Destination
	return r.Table == main && to.Bits() > 0 && !to.Addr().IsMulticast() && !to.Addr().IsLinkLocalUnicast()
}

// ranges looks for sets of ranges that are full, or nearly.
func (p *Picture) ranges(full bool) (found []Finding) {
	type key struct {
		network string
		set     int
	}
	room, used, texts := make(map[key]int), make(map[key]int), make(map[key][]string)
	var order []key
	for _, s := range p.subnets() {
		k := key{s.network, s.set}
		if room[k] == 0 {
			order = append(order, k)
		}
		room[k] += s.room()
		texts[k] = append(texts[k], s.prefix.String())
		for _, r := range p.Host.Reservations {
			if r.Network == s.network && s.holds(r.Address) {
				used[k]++
			}
		}
	}
	for _, k := range order {
		switch is := used[k] >= room[k]; {
		case is != full, !full && used[k]*10 < room[k]*9:
			continue
		}
		found = append(found, Finding{Object: "network " + k.network,
			What:   fmt.Sprintf("%s: %d of %d addresses are taken", strings.Join(texts[k], ", "), used[k], room[k]),
			Remedy: "widen the range, or add another to the set; trestle gc frees those of the dead"})
	}
	return found
}
