package laws_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/test/laws"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestLaws holds every law against every configuration: law by law in a host of its own.
func TestLaws(t *testing.T) {
	for turn, chain := range chains(t) {
		t.Run(filepath.Base(chain.File), func(t *testing.T) {
			t.Parallel()
			for _, law := range laws.Laws() {
				t.Run(law.Name, func(t *testing.T) { hold(t, law, chain, func(w *laws.World) { w.Turn = turn }) })
			}
		})
	}
}

// hold holds the law against the network in a host of its own. The built plugins are the separate ones, or those that change puts there.
func hold(t *testing.T, law laws.Law, chain laws.Chain, change ...func(*laws.World)) {
	t.Helper()
	if law.Pure {
		if err := law.Holds(world(t, chain)); err != nil {
			t.Error(err)
		}
		return
	}
	nstest.Run(t, func(t *testing.T) {
		w := world(t, chain)
		for _, f := range change {
			f(w)
		}
		w.Settle()
		holds := law.Holds
		if laws.KernelLacks(t, chain) {
			holds = laws.Refused
		}
		if err := holds(w); err != nil {
			t.Error(err)
		}
	})
}

// TestCalls kills the built binaries at a sample of their system calls: of a whole chain, and of what is written down on disk beside addresses.
func TestCalls(t *testing.T) {
	for name, chain := range map[string]laws.Chain{"ports": ports(t), "device": config(t, "host-device/testdata/config/bare.json"), "lease": config(t, "macvlan/testdata/config/dhcp.json")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold(t, laws.Law{Holds: laws.Calls}, chain)
		})
	}
}

func config(t *testing.T, file string) laws.Chain {
	t.Helper()
	chain, err := laws.ReadConfig("../../plugins/" + file)
	must(t, err)
	return chain
}

// TestBundle holds the laws that run built plugins against the bundle, in which a bridge asks host-local without starting another program.
func TestBundle(t *testing.T) {
	list := []laws.Chain{ports(t)}
	if os.Getenv("TRESTLE_LONG") != "" {
		list = chains(t)
	}
	bundled := func(w *laws.World) { w.Path = os.Getenv(bundleVar) }
	for _, chain := range list {
		for _, law := range []laws.Law{{Name: "6-calls", Holds: laws.Calls}, {Name: "8-together", Holds: laws.Together}} {
			t.Run(filepath.Base(chain.File)+"/"+law.Name, func(t *testing.T) {
				t.Parallel()
				hold(t, law, chain, bundled)
			})
		}
	}
}

// TestOrphan kills a plugin while its IPAM plugin is at work.
func TestOrphan(t *testing.T) {
	t.Parallel()
	hold(t, laws.Law{Holds: laws.Orphan}, ports(t))
}

func ports(t *testing.T) laws.Chain {
	t.Helper()
	chain, err := laws.ReadList("../../conf/20-ports.conflist")
	must(t, err)
	return chain
}

func world(t *testing.T, chain laws.Chain) *laws.World {
	w := &laws.World{TB: t, Chain: chain, Kinds: kinds(), Path: os.Getenv(pathVar), Program: program, Crowd: slack.Crowd(16), Long: os.Getenv("TRESTLE_LONG") != ""}
	switch {
	case w.Long:
		w.Crowd = slack.Crowd(60)
	case filepath.Ext(chain.File) == ".json" && len(chain.Plugins) == 1: // the networks of conf/ stand for it
		w.Crowd = slack.Crowd(6)
	case strings.HasSuffix(chain.File, "-iptables.json"): // of which each ADD runs a dozen programs
		w.Crowd = slack.Crowd(6)
	}
	return w
}

// chains reads every configuration there is. A chained plugin comes after a bridge with a bit of everything.
func chains(t *testing.T) (list []laws.Chain) {
	t.Helper()
	for _, file := range files(t, "../../plugins/*/testdata/config/*.json") {
		plugin := strings.Split(filepath.ToSlash(file), "/")[3]
		var before []laws.Config
		if known.Of(plugin).Part == known.Chained {
			before = []laws.Config{foundation(t)}
		}
		chain, err := laws.ReadConfig(file, before...)
		must(t, err)
		chain.File = plugin + "-" + filepath.Base(file)
		list = append(list, chain)
	}
	for _, file := range files(t, "../../conf/*.conflist") {
		chain, err := laws.ReadList(file)
		must(t, err)
		list = append(list, chain)
	}
	return list
}

func foundation(t *testing.T) (config laws.Config) {
	t.Helper()
	must(t, json.Unmarshal([]byte(`{"type": "bridge", "bridge": "laws0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}}`), &config))
	return config
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	must(t, err)
	if len(list) == 0 {
		t.Fatalf("%s: no file", pattern)
	}
	return list
}
