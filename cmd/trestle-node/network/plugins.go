package network

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/process"
)

// list is what is read of a list.
type list struct {
	Name    string   `json:"name"`
	Plugins []plugin `json:"plugins"`
}

type plugin struct {
	Type    string          `json:"type"`
	Exclude json.RawMessage `json:"ipMasqExclude"`
	IPAM    struct {
		Type       string `json:"type"`
		RangesFrom string `json:"rangesFrom"`
	} `json:"ipam"`
}

// ready holds that the plugins of the list can do what it says.
func (n Network) ready(ctx context.Context, text []byte) error {
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	var names []string
	keys := make(map[string]string)
	for _, p := range l.Plugins {
		names = append(names, p.Type, p.IPAM.Type)
		if p.Exclude != nil {
			keys[p.Type] = "ipMasqExclude"
		}
		if p.IPAM.RangesFrom != "" {
			keys[p.IPAM.Type] = "rangesFrom"
		}
	}
	return n.able(ctx, names, keys)
}

// Ready holds as much of a list that the operator has written: where it is we do not know, but that its host-local is told what the reference's does not know.
func (n Network) Ready(ctx context.Context) error {
	return n.able(ctx, []string{"host-local"}, map[string]string{"host-local": "rangesFrom"})
}

// able holds that every one of the plugins is there and can be run, and that those are ours that are told keys which others do not know: these would do without.
func (n Network) able(ctx context.Context, names []string, keys map[string]string) error {
	var missing []string
	for _, name := range names {
		if name != "" && unix.Access(n.plugin(name), unix.X_OK) != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.TryLater, "trestle install --bin-dir="+n.Plugins+" puts them there; or let pluginDir name the runtime's directory",
			"plugins: %s: has no %s", n.Plugins, strings.Join(missing, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if err := n.introduce(ctx, n.plugin(name)); err != nil {
			return fault.New(fault.TryLater, "trestle install --replace --bin-dir="+n.Plugins+" puts trestle's there; or let pluginDir name the runtime's directory",
				"plugins: %s: does not know %s: %w", n.plugin(name), keys[name], err)
		}
	}
	return nil
}

func (n Network) plugin(name string) string { return filepath.Join(n.Plugins, filepath.Base(name)) }

// patience is for how long a plugin is listened to, in time and in bytes.
const (
	patience = 5 * time.Second
	much     = 400
)

// introduce has a plugin say who it is, as it does when somebody runs it by hand, and refuses one that is not ours. One that has said so is not asked again
// before its file is another.
func (n Network) introduce(ctx context.Context, path string) error {
	var file unix.Stat_t
	if err := unix.Stat(path, &file); err != nil {
		return err
	}
	file.Atim = unix.Timespec{} // it is read each time
	if known, ok := n.Known[path]; ok && known == file {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	cmd := exec.CommandContext(ctx, path)
	var said beginning
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{}, &said, &said
	err := process.Run(ctx, cmd, unix.SIGKILL, time.Second)
	switch {
	case strings.Contains(string(said), " plugin, trestle "):
		if n.Known != nil {
			n.Known[path] = file
		}
		return nil
	case len(said) == 0 && err != nil:
		return err
	}
	line, _, _ := strings.Cut(string(said), "\n")
	return fmt.Errorf("it says that it is %q, not trestle's", line)
}

// beginning is as much of a text as is looked at.
type beginning []byte

func (b *beginning) Write(text []byte) (int, error) {
	if len(*b) >= much {
		return 0, io.ErrShortWrite
	}
	*b = append(*b, text[:min(len(text), much-len(*b))]...)
	return len(text), nil
}
