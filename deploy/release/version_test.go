package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What is no version is refused before anything is looked at, and what is one, but not this tree's, before anything is made.
func TestVersions(t *testing.T) {
	for version, want := range map[string]string{
		"":                        "expected one like",
		"v1":                      "expected one like",
		"1.0.0":                   "expected one like",
		"v1.0":                    "expected one like",
		"v01.0.0":                 "expected one like",
		"v1.0.0 ":                 "expected one like",
		"v1.0.0-":                 "expected one like",
		"v1.0.0-a..b":             "expected one like",
		"v1.0.0-rc-1":             "expected one like",
		"v1.0.0+meta":             "expected one like",
		"v1.0.0/../..":            "expected one like",
		"v1.0.0\n":                "expected one like",
		"feature/v1":              "expected one like",
		"3ef99ee":                 "expected one like",
		"v0.1.0-3-g3ef99ee-dirty": "expected one like",
		"v99.0.0":                 "CHANGELOG.md: its top entry is not v99.0.0",
		"v0.1.0-rc.1":             "CHANGELOG.md: its top entry is not v0.1.0-rc.1",
	} {
		r := release{Version: version, Root: "../..", Out: filepath.Join(t.TempDir(), "out")}
		if err := r.run([]string{runtime.GOARCH}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", version, err, want)
		}
		if _, err := os.Stat(r.Out); err == nil {
			t.Errorf("%q: something was made", version)
		}
	}
	r := release{Version: made.version, Root: "../.."}
	if err := r.run([]string{runtime.GOARCH, "amd46"}); err == nil || !strings.Contains(err.Error(), `arch: "amd46": expected one of [amd64 `) {
		t.Errorf("an architecture that there is not: %v", err)
	}
}

// What a page or a manifest tells a user is this version's.
func TestNames(t *testing.T) {
	for version, packed := range map[string]string{"v0.2.0": "0.2.0", "v0.2.0-rc.1": "0.2.0~rc.1"} {
		r := release{Version: version, Root: t.TempDir()}
		page := filepath.Join(r.Root, "README.md")
		write := func(text string) {
			if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("`apt install ./trestle_" + packed + "-1_amd64.deb` `./trestle-" + packed + "-1.x86_64.rpm` `trestle-linux-amd64-" + version + ".tgz` " +
			"`" + imageName + ":" + version + "` skopeo copy oci-archive:x docker://REGISTRY/trestle:" + version + "\ntrestle-linux-ARCH-VERSION.tgz, the reference 1.10.0\n")
		if err := r.names(); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		for _, other := range []string{"trestle_0.1.0-1_amd64.deb", "trestle-0.1.0-1.x86_64.rpm", "cni-plugins-linux-arm64-v0.1.0.tgz", "trestle-image-v0.1.0.tar", imageName + ":v0.1.0", "docker://REGISTRY/trestle:v0.1.0", "\nappVersion: v0.1.0"} {
			write("`" + other + "`")
			if err := r.names(); err == nil || !strings.Contains(err.Error(), "README.md: ") {
				t.Errorf("%s: %s: %v", version, other, err)
			}
		}
	}
}

// packages makes those of another version out of the binary that was made, and returns the folder.
func packages(t *testing.T, version string) string {
	t.Helper()
	of, err := find(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	r := release{Version: version, Root: "../..", Out: t.TempDir(), stage: t.TempDir(), date: time.Unix(1_700_000_000, 0).UTC()}
	b := binaries{architecture: of, dir: t.TempDir()}
	must(t, b.dir, "tar", "xzf", archive("trestle", of.name), "./trestle")
	for _, step := range []func() error{func() error { return r.configuration("") }, func() error { return r.deb(b) }, func() error { return r.rpm(b) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return r.Out
}

// What comes before a release is older than it, for dpkg and by its name for rpm.
func TestBeforeARelease(t *testing.T) {
	dir := packages(t, "v1.2.0-rc.1")
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	version := strings.TrimSpace(must(t, dir, "dpkg-deb", "--field", found[0], "Version"))
	if version != "1.2.0~rc.1-1" {
		t.Errorf("Debian's is %s", version)
	}
	must(t, dir, "dpkg", "--compare-versions", version, "lt", "1.2.0-1")
	must(t, dir, "dpkg", "--compare-versions", version, "gt", "1.1.9-1")
	if all := names(t, dir); len(all) != 2 || !strings.HasPrefix(all[0], "trestle-1.2.0~rc.1-1.") {
		t.Errorf("made %v", all)
	}
}

// called are the architectures as Debian and Fedora have them.
var called = map[string]struct{ deb, rpm string }{
	"amd64": {"amd64", "x86_64"}, "arm64": {"arm64", "aarch64"}, "arm": {"armhf", "armv6hl"}, "ppc64le": {"ppc64el", "ppc64le"}, "s390x": {"s390x", "s390x"},
	"riscv64": {"riscv64", "riscv64"}, "loong64": {"loong64", "loongarch64"}, "mips64le": {"mips64el", "mips64el"},
}

// A package is found where its distribution looks for it, says what it is for, and has the archive's binary. What an rpm says test/rpm.sh asks it.
func TestPackagesOfArchitectures(t *testing.T) {
	packed := strings.ReplaceAll(made.version[1:], "-", "~")
	for arch := range arches() {
		dir, as := t.TempDir(), called[arch]
		deb := filepath.Join(made.dir, "trestle_"+packed+"-1_"+as.deb+".deb")
		if said := strings.TrimSpace(must(t, dir, "dpkg-deb", "--field", deb, "Architecture")); said != as.deb {
			t.Errorf("%s says that it is for %s", deb, said)
		}
		must(t, dir, "dpkg-deb", "--extract", deb, "deb")
		must(t, dir, "tar", "xzf", archive(bundleName, arch), "./trestle")
		must(t, dir, "cmp", "trestle", "deb/usr/bin/trestle")
		if _, err := os.Stat(filepath.Join(made.dir, "trestle-"+packed+"-1."+as.rpm+".rpm")); err != nil {
			t.Error(err)
		}
	}
}
