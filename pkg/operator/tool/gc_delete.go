package tool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// delete is the DEL that the runtime did not send, without the namespace that is gone, to every plugin of the list as the runtime would: so it finds
// what was made by plugins of others as well. Then the attachment is forgotten whole. While anything of it is left, or one of its plugins is not to be
// had, its result stays, by which the DEL can be sent again.
func (g *gathering) delete(ctx context.Context, a *observe.Attachment, e cache.Entry) error {
	r, err := requestToAll(e)
	if err == nil {
		err = g.complete(r.pluginList)
	}
	if err != nil {
		return err
	}
	did := "removed"
	if !g.yes {
		did = "would remove"
	} else {
		err = g.send(ctx, r)
		if err == nil {
			err = os.Remove(e.File)
		}
	}
	if err == nil {
		g.say(a.Network, fmt.Sprintf("%s attachment %s: %s", did, a.ID, strings.Join(a.Why, "; ")))
	}
	return err
}

// send sends the DEL. Plugins of the reference leave their rules where the namespace is gone; ours find those by the owner, whoever made the link.
func (g *gathering) send(ctx context.Context, r request) error {
	g.equip(r.env)
	if _, err := r.call(ctx, g.bundle, "DEL"); err != nil || len(r.only(g.bundle).Plugins) == len(r.Plugins) {
		return err
	}
	rest := request{pluginList: everything(r.Name, g.bundle), env: r.env}
	_, err := rest.call(ctx, g.bundle, "DEL")
	return err
}

// equip adds what plugins of others find in a runtime's environment (PATH, above all), and where to look for plugins.
func (g *gathering) equip(env map[string]string) {
	for key, value := range plugin.Environment(os.Environ()) {
		if !strings.HasPrefix(key, "CNI_") && !strings.HasPrefix(key, "TRESTLE_") {
			env[key] = value
		}
	}
	env["CNI_NETNS"] = ""
	env["CNI_PATH"] = strings.Join(append([]string{plugin.Self}, g.plugins...), ":")
}

// complete says which plugins of the list are missing. Nothing is removed then: whoever gets the address next would have what the missing one has
// to remove.
func (g *gathering) complete(l pluginList) error {
	var missing []string
	for _, raw := range l.Plugins {
		e := entryOf(raw)
		_, held := g.bundle[e.Type]
		_, gives := g.bundle[e.IPAM.Type]
		if !held && !g.there(e.Type) {
			missing = append(missing, e.Type)
		}
		if e.IPAM.Type != "" && !(held && gives) && !g.there(e.IPAM.Type) {
			missing = append(missing, e.IPAM.Type)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Delegate, "say where it is by --bin-dir, or install it", "plugin %s: not found in %s; nothing of the attachment was removed",
		strings.Join(missing, ", "), strings.Join(g.plugins, ", "))
}

// there says whether a directory has the plugin.
func (g *gathering) there(kind string) bool {
	return slices.ContainsFunc(g.plugins, func(dir string) bool {
		info, err := os.Stat(filepath.Join(dir, kind))
		return err == nil && info.Mode().IsRegular()
	})
}
