package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	networks "github.com/trestle-cni/trestle/pkg/operator/conflist" // conflist is a type here
	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/step"
	"github.com/trestle-cni/trestle/pkg/upkeep"
)

// examine reads all that the checks look at, and makes them.
func (e *examination) examine(ctx context.Context, bundle plugin.Bundle) ([]doctor.Finding, error) {
	p, err := e.picture(ctx, bundle)
	if err != nil {
		return nil, err
	}
	return p.Examine(), nil
}

// picture reads all that the checks look at.
func (e *examination) picture(ctx context.Context, bundle plugin.Bundle) (*doctor.Picture, error) {
	if _, err := os.Stat(e.configs); e.asked && err != nil {
		return nil, fault.New(fault.IO, "name the runtime's directory of configurations", "--conf-dir: %w", err)
	}
	configs, err := networks.Load(e.configs)
	if err != nil {
		return nil, fault.New(fault.IO, "read it as root", "%w", err)
	}
	host, err := observe.Read(ctx, observe.Options{Results: e.results, Configs: e.configs, Files: configs, Check: checkBy(bundle)})
	if err != nil {
		return nil, err
	}
	p := &doctor.Picture{Host: host, Configs: configs, Dirs: e.plugins, Plugins: make(map[string]doctor.Plugin)}
	if release, err := procfile.Read("/proc/sys/kernel/osrelease"); err == nil { // unknown: nothing is said of its age
		p.Release = strings.TrimSpace(string(release))
	}
	if p.IPTables() != "" {
		p.Programs = ruleset.Programs()
	}
	wanted := make(map[string]bool)
	for _, f := range p.Configs {
		for _, one := range f.Plugins {
			wanted[one.Type], wanted[one.IPAM] = true, true
		}
	}
	for _, dir := range e.plugins {
		for name := range wanted {
			if found, ok := findPlugin(ctx, filepath.Join(dir, name)); ok && p.Plugins[name].Path == "" && name != "" {
				p.Plugins[name] = found
			}
		}
	}
	for _, problem := range host.Problems {
		if problem.Object == observe.Results && !problem.Hidden {
			p.Torn = append(p.Torn, problem.Cause)
		}
	}
	p.Leases, p.Stale, p.Log, p.Rest = leasesOf(p.Configs), staleNames(), journal.Trouble(), rest()
	return p, nil
}

// rest is until when repair --watch rests, in words.
func rest() string {
	if p := upkeep.Paused(site.Run, time.Now()); p != nil {
		return p.String()
	}
	return ""
}

// askBound is how long a plugin has to say which versions it speaks.
const askBound = 5 * time.Second

// findPlugin looks at a plugin's file, and asks it for its versions.
func findPlugin(ctx context.Context, path string) (doctor.Plugin, bool) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return doctor.Plugin{}, false
	}
	p := doctor.Plugin{Path: path, Executable: info.Mode()&0o111 != 0}
	if !p.Executable {
		return p, true
	}
	ctx, stop := context.WithTimeout(ctx, askBound)
	defer stop()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{"CNI_COMMAND=VERSION", "CNI_CONTAINERID=doctor", "CNI_IFNAME=eth0", "CNI_NETNS=/", "CNI_PATH=/"}
	cmd.Stdin = bytes.NewReader([]byte(`{"cniVersion": "1.0.0"}`))
	out, err := cmd.Output()
	var reply struct{ SupportedVersions []string }
	if err == nil && json.Unmarshal(out, &reply) == nil {
		p.Versions = reply.SupportedVersions
	}
	return p, true
}

// carryOut makes one fix.
func (e *examination) carryOut(ctx context.Context, bundle plugin.Bundle, f doctor.Fix, out io.Writer) error {
	switch f.Kind {
	case doctor.SetSysctl:
		if f.Name == "ipv6/conf/all/forwarding" {
			return forward()
		}
		return os.WriteFile("/proc/sys/net/"+f.Name, []byte(f.To), 0o644)
	case doctor.SetUp:
		return withLink(f.Name, netlink.LinkSetUp)
	case doctor.Repair:
		return repairing{results: e.results}.run(ctx, out, out, bundle)
	case doctor.Collect:
		if f.Name != "" {
			if err := withLink(f.Name, netlink.LinkDel); err != nil {
				return err
			}
		}
		return collection{results: e.results, plugins: slices.Concat(e.plugins, pluginDirs()), yes: true}.run(ctx, out, bundle)
	case doctor.RemoveFile:
		return os.Remove(f.Name)
	case doctor.Executable:
		return os.Chmod(f.Name, 0o755)
	}
	return fmt.Errorf("%s: not known", f.Kind)
}

// forward has the host forward IPv6 as an ADD does, so that it goes on listening to its own routers.
func forward() error {
	s, err := site.Open(site.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = step.Forwarding{IPv6: true}.Apply(context.Background(), s)
	return err
}

func withLink(name string, do func(netlink.Link) error) error {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = do(l)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}
