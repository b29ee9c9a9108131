package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestLatest(t *testing.T) {
	names := strings.Fields(`linux-image-6.1.0-9-amd64 linux-image-6.1.0-56-amd64 linux-image-6.1.0-57-cloud-amd64 linux-image-6.1.0-57-rt-amd64
		linux-image-6.1.0-58-amd64-dbg linux-image-6.1.0-58-amd64-unsigned linux-image-6.12-amd64 linux-image-6.12.9+deb12-amd64
		linux-image-6.12.117+deb12-amd64 linux-image-6.12.90+deb13+1-amd64 linux-image-6.12.118+deb12-arm64 linux-image-amd64`)
	for series, want := range map[string]string{
		"6.1": "linux-image-6.1.0-56-amd64", "6.12": "linux-image-6.12.117+deb12-amd64", "6.8": "", "1.0": "", "": "",
	} {
		if got := latest(series, names); got != want {
			t.Errorf("the newest of %q is %q, want %q", series, got, want)
		}
	}
}

// TestNoSuchSeries asks that a series that the archive lacks is a failure that says so.
func TestNoSuchSeries(t *testing.T) {
	bin := t.TempDir()
	for _, tool := range []string{"apt-cache", "apt-get"} {
		if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	for _, series := range []string{"6", "", "6.1.0", "-x"} {
		if _, err := find(series, t.TempDir()); err == nil || !strings.Contains(err.Error(), "6.1") {
			t.Errorf("series %q: %v", series, err)
		}
	}
	if _, err := find("4.2", t.TempDir()); err == nil || !strings.Contains(err.Error(), "kernel 4.2: the archive has no package") {
		t.Errorf("a series that the archive lacks: %v", err)
	}
}

// TestListsOfBefore asks that a kernel is found whose name is newer than this machine's lists: what they have the archive has no more.
func TestListsOfBefore(t *testing.T) {
	bin, cache := t.TempDir(), t.TempDir()
	for tool, does := range map[string]string{
		"apt-cache": `echo linux-image-6.1.0-56-amd64; [ ! -e "$0.new" ] || echo linux-image-6.1.0-57-amd64`,
		"apt-get":   `case "$1 $3" in "update ") : >"${0%get}cache.new";; "download linux-image-6.1.0-57-amd64") : >one.deb;; *) echo 404 Not Found >&2; exit 100;; esac`,
		"dpkg":      `/bin/mkdir "$3"`,
		"depmod":    ``,
	} {
		if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/sh\n"+does+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	for range 2 { // the second time from the cache
		k, err := find("6.1", cache)
		if _, missing := os.Stat(k.Dir); err != nil || missing != nil || k.Package != "linux-image-6.1.0-57-amd64" {
			t.Errorf("%+v, %v, %v", k, err, missing)
		}
	}
	if err := os.Remove(filepath.Join(bin, "dpkg")); err != nil {
		t.Fatal(err)
	}
	if _, err := find("6.1", t.TempDir()); err == nil || !strings.Contains(err.Error(), "dpkg") {
		t.Errorf("without dpkg: %v", err)
	}
}

// TestAlone asks that a busybox with libraries is refused before it is booted in vain.
func TestAlone(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := elf.Open(sh); err != nil {
		t.Fatal(err)
	} else if libraries, _ := f.ImportedLibraries(); len(libraries) > 0 {
		if err := alone(sh); err == nil || !strings.Contains(err.Error(), "busybox-static") {
			t.Errorf("%s with %v: %v", sh, libraries, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := alone(self); err != nil && os.Getenv("CGO_ENABLED") == "0" {
		t.Error(err)
	}
}
