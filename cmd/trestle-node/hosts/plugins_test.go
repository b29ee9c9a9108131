package hosts

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// A host whose list the operator has written says, too, when its plugins do not know what they are told: as they come, as another suite's takes the place of ours,
// and as ours are back.
func TestPluginsOfTheOperatorsList(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, with(three, "reach", "none"))
		bin := filepath.Join(w.dir, "bin")
		w.conf["pluginDir"] = bin
		h := w.host("h1", "sw0", "", []string{"192.0.2.1/24"})
		h.node("init")
		must(t, os.Mkdir(bin, 0o755))
		h.start()
		lines := 0
		for _, step := range []struct{ program, says string }{
			{"", bin + ": has no host-local"},
			{"/bin/true", "host-local: does not know rangesFrom: it says that it is"},
			{program("trestle"), `"msg":"well"`},
			{"/bin/true", "host-local: does not know rangesFrom: it says that it is"},
			{program("trestle"), `"msg":"well"`},
		} {
			if path := filepath.Join(bin, "host-local"); step.program != "" {
				must(t, errors.Join(os.Symlink(step.program, path+".new"), os.Rename(path+".new", path)))
			}
			w.until(step.program+": "+step.says, func() error { return h.saidAfter(&lines, step.says) })
		}
	})
}
