package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/reference"
)

const module = "github.com/trestle-cni/trestle/"

// works are the plugins that take part, by the folders that they are in.
type works struct {
	separate string // ours, a binary each
	bundle   string // ours, one binary under all names
	empty    string // a program that does nothing
	peers    []peer
}

// peer is somebody else's plugins, with the backend that they are told to use; empty: they know no other than iptables.
type peer struct{ name, dir, backend string }

// The reference of today, whose binaries `make reference` builds, and the oldest that is still on nodes, Debian's.
const (
	newest = "1.10.0"
	oldest = "1.1.1, iptables"
)

// build builds ours into the folder, and puts them and the peers' into folders as an installation does.
func build(ctx context.Context, dir string) (w works, err error) {
	w = works{separate: filepath.Join(dir, "separate"), bundle: filepath.Join(dir, "bundle"), empty: filepath.Join(dir, "empty")}
	if err := os.MkdirAll(w.bundle, 0o755); err != nil {
		return w, err
	}
	flags, err := built.Flags()
	err = errors.Join(err, program(ctx, "go", slices.Concat([]string{"build", "-o", w.separate + "/"}, flags, []string{module + "cmd/..."})...),
		program(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", w.empty, module+"test/bench/empty"))
	if err == nil {
		err = program(ctx, filepath.Join(w.separate, "trestle"), "install", "--bin-dir", w.bundle)
	}
	if err != nil {
		return w, err
	}
	w.peers = []peer{
		{newest + ", nftables", reference.Newest.Dir, "nftables"}, {newest + ", iptables", reference.Newest.Dir, "iptables"}, {oldest, reference.Debian.Dir, ""},
	}
	for _, pair := range strings.Fields(os.Getenv("PEERS")) {
		name, dir, ok := strings.Cut(pair, "=")
		if !ok {
			return w, fmt.Errorf("PEERS: %q: must be name=dir", pair)
		}
		w.peers = append(w.peers, peer{name, dir, ""})
	}
	for i, p := range w.peers {
		if _, err := os.Stat(filepath.Join(p.dir, "bridge")); err != nil {
			return w, fmt.Errorf("peer %s: %w: make reference, and see test/need", p.name, err)
		}
		if err := installed(&w.peers[i].dir, filepath.Join(dir, "peers", fmt.Sprint(i))); err != nil {
			return w, err
		}
	}
	return w, installed(&w.separate, filepath.Join(dir, "installed")) // the bundle is, by its own command
}

// installed copies a folder of plugins, and has it be the copy. What a linker has written lies in memory in single pages, and what was copied, unpacked or
// read from a disk in long runs of them: a start from the former takes a sixth more of the processor, and nobody does that but who has just built it.
func installed(folder *string, to string) error {
	files, err := filepath.Glob(*folder + "/*")
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	for _, file := range files {
		text, failed := os.ReadFile(file)
		if failed == nil {
			failed = os.WriteFile(filepath.Join(to, filepath.Base(file)), text, 0o755)
		}
		err = errors.Join(err, failed)
	}
	*folder = to
	return err
}

func program(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
