package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// bundleName is the binary that is all plugins and the operator's tool; every other folder of cmd/ is a plugin.
const bundleName = "trestle"

// nodeName is the agent of hosts that share addresses. It has a store's client, and is a Go module of its own, in this folder.
const (
	nodeName   = "trestle-node"
	nodeModule = "cmd/" + nodeName
)

// module is what is released, shell where its binaries have their version.
const (
	module = "github.com/trestle-cni/trestle"
	shell  = module + "/pkg/plugin"
	origin = "https://" + module
)

// architecture is one that a release is for.
type architecture struct {
	name    string   // as Go has it
	setting []string // what Go has to be told besides
	packed  string   // as nfpm has it, where that is another
	variant string   // as the image index has it
	narrow  bool     // a number is of 32 bits
}

// arm is that of the oldest board with hardware floating point, which is what Debian calls armhf less its newer instructions.
var architectures = []architecture{
	{name: "amd64"}, {name: "arm64"}, {name: "arm", setting: []string{"GOARM=6"}, packed: "arm6", variant: "v6", narrow: true}, {name: "ppc64le"},
	{name: "s390x"}, {name: "riscv64"}, {name: "loong64"}, {name: "mips64le"},
}

// known lists the architectures.
func known() (names []string) {
	for _, a := range architectures {
		names = append(names, a.name)
	}
	return names
}

// find is the architecture of that name.
func find(name string) (architecture, error) {
	at := slices.IndexFunc(architectures, func(a architecture) bool { return a.name == name })
	if at < 0 {
		return architecture{}, fmt.Errorf("arch: %q: expected one of %v", name, known())
	}
	of := architectures[at]
	if of.packed == "" {
		of.packed = name
	}
	return of, nil
}

// binaries are those of one architecture.
type binaries struct {
	architecture
	dir   string
	names []string // plugins, a binary each
	node  string   // the agent
}

// build compiles all of cmd/ for one architecture.
func (r *release) build(arch string) (binaries, error) {
	of, err := find(arch)
	if err != nil {
		return binaries{}, err
	}
	b := binaries{architecture: of, dir: filepath.Join(r.stage, "bin", arch)}
	b.node = filepath.Join(r.stage, "node", arch, nodeName)
	env := append(b.setting, "GOOS=linux", "GOARCH="+arch)
	tree := "."
	if b.narrow {
		if tree, err = r.narrowed(); err != nil {
			return b, err
		}
	}
	if err := r.compile(tree, b.dir, "./cmd/...", env...); err != nil {
		return b, err
	}
	if err := r.compile(filepath.Join(tree, nodeModule), filepath.Dir(b.node), ".", env...); err != nil {
		return b, err
	}
	files, err := os.ReadDir(b.dir)
	for _, f := range files {
		if f.Name() != bundleName {
			b.names = append(b.names, f.Name())
		}
	}
	return b, err
}

// compile builds what the module in that folder has into dir, as the Makefile does. Neither the folder nor the clone's state, nor what the releaser's environment prefers, gets into a binary.
func (r *release) compile(module, dir, what string, env ...string) error {
	stamp := fmt.Sprintf("-s -w -X %s.version=%s -X %s.commit=%s", shell, r.Version, shell, r.commit)
	if slices.Contains(env, "GOARCH=amd64") {
		stamp += " -funcalign=16"
	}
	lean, err := r.uninlined()
	if err == nil {
		args := append([]string{"build", "-C", module, "-trimpath", "-buildvcs=false", "-ldflags", stamp, "-o", dir + "/"}, lean...)
		_, err = r.with(env, "go", append(args, what)...)
	}
	return err
}

// uninlined are the flags for what cmd/uninlined lists, as the Makefile has them.
func (r *release) uninlined() (flags []string, err error) {
	text, err := os.ReadFile(filepath.Join(r.Root, "cmd/uninlined"))
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			flags = append(flags, "-gcflags", strings.TrimSpace(line)+"=-l")
		}
	}
	return flags, err
}

// native compiles the bundle for this machine, and returns its path: it says itself what its commands are.
func (r *release) native() (string, error) {
	dir := filepath.Join(r.stage, "native")
	err := r.compile(".", dir, "./cmd/"+bundleName, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	return filepath.Join(dir, bundleName), err
}
