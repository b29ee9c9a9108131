package host

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/bridge"
	"github.com/trestle-cni/trestle/plugins/chain"
	"github.com/trestle-cni/trestle/plugins/firewall"
	hostlocal "github.com/trestle-cni/trestle/plugins/host-local"
	"github.com/trestle-cni/trestle/plugins/portmap"
	"github.com/trestle-cni/trestle/plugins/ptp"
)

// Inside is the driver that calls our plugins in the host's process. It is for filling a host with pods, and as what they would cost
// without the start of a process.
const Inside = "inside"

// insidePath is a CNI_PATH in which every plugin of ours is this very program, so that address plugins are called in the process, too.
const insidePath = "/run/inside"

var linkPlugins = sync.OnceValue(func() error {
	if err := os.MkdirAll(insidePath, 0o755); err != nil {
		return err
	}
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	return os.Symlink(own, filepath.Join(insidePath, "host-local"))
})

func (s *Server) inside(o Order) (driver, error) {
	if err := linkPlugins(); err != nil {
		return nil, err
	}
	bundle := plugin.Bundle{}
	for _, p := range []plugin.Plugin{bridge.Kind().Plugin(), chain.Plugin(), hostlocal.Plugin(), portmap.Kind().Plugin(), firewall.Kind().Plugin(), ptp.Kind().Plugin()} {
		bundle[p.Name] = p
	}
	return s.through(o, insidePath, &within{bundle: bundle})
}

// within calls plugins in this process.
type within struct {
	bundle plugin.Bundle
	version.PluginDecoder
}

// FindInPath returns the plugin's name, which is all that it takes.
func (*within) FindInPath(name string, _ []string) (string, error) { return name, nil }

// ExecPlugin calls the plugin.
func (w *within) ExecPlugin(ctx context.Context, name string, stdin []byte, environ []string) ([]byte, error) {
	var out bytes.Buffer
	status := w.bundle.Run(ctx, name, plugin.Environment(environ), plugin.Streams{In: bytes.NewReader(stdin), Out: &out, Err: os.Stderr})
	if status == 0 {
		return out.Bytes(), nil
	}
	failure := new(types.Error)
	if err := json.Unmarshal(out.Bytes(), failure); err != nil {
		return nil, err
	}
	return nil, failure
}
