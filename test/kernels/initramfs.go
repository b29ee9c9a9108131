package main

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed init
var initScript []byte

// needed are the modules without which the guest has no root; the rest it loads itself, from there.
var needed = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay"}

// Modes of what is in an archive, as in stat(2).
const (
	folder  = 0o040755
	program = 0o100755
	device  = 0o020600
)

// archive is an initramfs in the making: cpio in the format newc, of Documentation/driver-api/early-userspace/buffer-format.rst.
type archive struct {
	bytes.Buffer
	entries int
}

func (a *archive) add(name string, mode int, content []byte) { a.node(name, mode, content, 0, 0) }

func (a *archive) node(name string, mode int, content []byte, major, minor int) {
	a.entries++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.entries, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.align()
	a.Write(content)
	a.align()
}

func (a *archive) align() { a.Write(make([]byte, -a.Len()&3)) }

// initramfs makes the archive of busybox, the script that is the machine's first program, and the modules, in the order in which they are loaded.
func (k Kernel) initramfs(first []byte, modules []string) ([]byte, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("%w: see test/need", err)
	}
	if err := alone(busybox); err != nil {
		return nil, err
	}
	shell, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	a := new(archive)
	for _, dir := range []string{"bin", "dev", "proc", "modules", "lower", "upper", "root"} {
		a.add(dir, folder, nil)
	}
	a.node("dev/console", device, nil, 5, 1)
	a.add("bin/busybox", program, shell)
	a.add("init", program, first)
	order, err := k.order(modules)
	if err != nil {
		return nil, err
	}
	var names strings.Builder
	for _, file := range order {
		content, err := unpacked(busybox, file)
		if err != nil {
			return nil, err
		}
		a.add("modules/"+filepath.Base(file), program, content)
		fmt.Fprintln(&names, filepath.Base(file))
	}
	a.add("modules/order", program, []byte(names.String()))
	a.add("TRAILER!!!", 0, nil)
	return a.Bytes(), nil
}

// alone asks that a program needs no library: in the guest's first root there is none.
func alone(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		return fmt.Errorf("%s: it needs %v: install busybox-static instead: %w", file, libraries, err)
	}
	return nil
}

// order returns the files of the modules, each after those that it depends on.
func (k Kernel) order(modules []string) (files []string, err error) {
	for _, name := range modules {
		out, err := run("modprobe", "--dirname", k.Dir, "--set-version", k.Release, "--show-depends", name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "insmod" && !slices.Contains(files, words[1]) {
				files = append(files, words[1])
			}
		}
	}
	return files, nil
}

// unpacked reads a module, which a distribution may have packed.
func unpacked(busybox, file string) ([]byte, error) {
	if filepath.Ext(file) == ".xz" {
		out, err := run(busybox, "xzcat", file)
		return []byte(out), err
	}
	return os.ReadFile(file)
}
