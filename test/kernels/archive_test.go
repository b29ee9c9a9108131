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
