package main

import (
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// foreign are the other architectures, one of them with the other order of bytes, one with smaller numbers and two with other numbers of the kernel's, and the
// emulator of each.
var foreign = map[string]string{"arm": "qemu-arm-static", "arm64": "qemu-aarch64-static", "s390x": "qemu-s390x-static", "ppc64le": "qemu-ppc64le-static",
	"riscv64": "qemu-riscv64-static", "loong64": "qemu-loongarch64-static", "mips64le": "qemu-mips64el-static"}

// The image is read by somebody else's program, for each architecture, and unpacked: two static binaries and the licences.
func TestImage(t *testing.T) {
	image := "oci-archive:" + filepath.Join(made.dir, "trestle-image-"+made.version+".tar")
	dir := t.TempDir()
	must(t, dir, "skopeo", "copy", "--all", image, "oci:all")
	for arch := range arches() {
		var config struct {
			Architecture string
			Config       struct {
				User            string
				Entrypoint, Cmd []string
			}
		}
		said := must(t, dir, "skopeo", "--override-arch", arch, "inspect", "--config", image)
		if err := json.Unmarshal([]byte(said), &config); err != nil {
			t.Fatal(err)
		}
		if config.Architecture != arch || config.Config.User != nobody || !slices.Equal(config.Config.Entrypoint, []string{"/trestle"}) {
			t.Errorf("%s: %s", arch, said)
		}
		must(t, dir, "skopeo", "--override-arch", arch, "copy", image, "dir:"+arch)
		for _, layer := range names(t, filepath.Join(dir, arch)) {
			if out, err := exec.Command("tar", "tzf", filepath.Join(dir, arch, layer)).Output(); err == nil {
				if got := strings.Fields(string(out)); !slices.Equal(got, []string{"./", "./trestle", "./trestle-node", "./LICENSE", "./LICENCES.txt"}) {
					t.Errorf("%s: the layer has %v", arch, got)
				}
			}
		}
	}
}

// line is the one command line of a page that begins so: what is tried is what stands there.
func line(t *testing.T, page, with string) (found string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.FieldsFunc(string(text), func(r rune) bool { return r == '`' || r == '\n' }) {
		if strings.HasPrefix(part, with) && part != found {
			if found != "" {
				t.Fatalf("%s: two lines that begin with %q: %q and %q", page, with, found, part)
			}
			found = part
		}
	}
	if found == "" {
		t.Fatalf("%s: no line that begins with %q", page, with)
	}
	return found
}

// The image gets into a registry by the line of the page, all of it, and out again for each architecture.
func TestRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	home := t.TempDir() // of somebody who trusts a registry without a certificate
	must(t, home, "mkdir", "-p", ".config/containers")
	trusted := "[[registry]]\nlocation = \"" + host + "\"\ninsecure = true\n"
	if err := os.WriteFile(filepath.Join(home, ".config/containers/registries.conf"), []byte(trusted), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	must(t, made.dir, "sh", "-c", strings.ReplaceAll(line(t, "deploy/README.md", "skopeo copy"), "REGISTRY", host))
	image, archive := "docker://"+host+"/trestle:"+made.version, "oci-archive:trestle-image-"+made.version+".tar"
	var lists [2]struct {
		Manifests []struct {
			Digest   string
			Platform struct{ OS, Architecture, Variant string }
		}
	}
	for i, place := range []string{image, archive} {
		if err := json.Unmarshal([]byte(must(t, made.dir, "skopeo", "inspect", "--raw", place)), &lists[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(lists[0], lists[1]) || len(lists[0].Manifests) != len(arches()) {
		t.Errorf("the registry has\n%+v\nand the archive\n%+v", lists[0], lists[1])
	}
	for arch := range arches() {
		must(t, made.dir, "skopeo", "--override-arch", arch, "copy", image, "dir:"+t.TempDir())
	}
}

// The binaries of other architectures start, under an emulator. What they do there is shown by foreign.sh.
func TestForeign(t *testing.T) {
	for arch, emulator := range foreign {
		dir := t.TempDir()
		must(t, dir, "tar", "xzf", archive("cni-plugins", arch))
		for _, name := range plugins(t) {
			if said := version(t, emulator, filepath.Join(dir, name)); !strings.Contains(said, `"1.1.0"`) {
				t.Errorf("%s: %s: VERSION says %s", arch, name, said)
			}
		}
		must(t, dir, "tar", "xzf", archive("trestle", arch), "./trestle")
		if said := must(t, dir, emulator, "./trestle", "version"); !strings.Contains(said, "linux/"+arch) {
			t.Errorf("%s: it says %s", arch, said)
		}
	}
}

// emulators is a folder with those of the other architectures, each under its architecture's name: they are static.
func emulators(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for arch, emulator := range foreign {
		path, err := exec.LookPath(emulator)
		if err != nil {
			t.Fatal(err)
		}
		must(t, dir, "cp", path, arch)
	}
	return dir
}

// The packages are installed, used and removed in a fresh Debian.
func TestPackages(t *testing.T) {
	debian, err := filepath.Abs("../../.tools/release/debian")
	if err != nil {
		t.Fatal(err)
	}
	must(t, "", "../test/debian", debian)
	tools := t.TempDir()
	must(t, tools, "cp", "--recursive", emulators(t), "emulators")
	must(t, tools, "cp", "--recursive", packages(t, "v9.9.9"), "later")
	scripts, err := fs.Glob(os.DirFS("../test"), "*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		if script == "library.sh" {
			continue
		}
		t.Run(strings.TrimSuffix(script, ".sh"), func(t *testing.T) { must(t, "", "../test/inside", debian, made.dir, script, tools) })
	}
}
