package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// made is the release that all tests look at: of this machine's architecture and of those that an emulator runs, signed with a key of the test's.
var made struct{ work, dir, again, version string }

// reference is what the archive of the reference takes unpacked, in bytes (1.10.0, amd64).
const reference = 77_000_000

func TestMain(m *testing.M) {
	code := 1
	if err := makeTwice(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(made.work)
	os.Exit(code)
}

// makeTwice makes the release of the last commit in two clones of different depth, under different names.
func makeTwice() (err error) {
	if made.work, err = os.MkdirTemp("", "trestle-release-test-"); err != nil {
		return err
	}
	log, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		return err
	}
	made.version = string(entries.FindSubmatch(log)[1])
	made.dir = filepath.Join(made.work, "dist")
	key := filepath.Join(made.work, "key")
	if err := command("", "minisign", "-G", "-W", "-s", key, "-p", key+".pub"); err != nil {
		return err
	}
	if err := lock(key, key+".locked"); err != nil {
		return err
	}
	tree, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	clones := []string{filepath.Join(made.work, "a"), filepath.Join(made.work, "another/folder")}
	for _, clone := range clones { // both before the work, while somebody may go on and commit
		if err := command("", "git", "clone", "--quiet", tree, clone); err != nil {
			return err
		}
	}
	list := strings.Join(slices.Sorted(maps.Keys(arches())), ",")
	if err := command(clones[0], "go", "-C", "deploy", "run", "./release", "-version", made.version, "-arch", list, "-out", made.dir, "-key", key); err != nil {
		return err
	}
	made.again = filepath.Join(clones[1], "dist", made.version)
	return command(clones[1], "unshare", "--user", "--map-user=1234", "--map-group=1234", "sh", "-euc", elsewhere, clones[1],
		"VERSION="+made.version, "ARCH="+list, "MINISIGN_KEY=../../key.locked")
}

// elsewhere makes the release as the page says, as another user would on a machine of his, with a password on the key: other hours, words, line ends, rights of new files,
// dates of old ones, a folder for what waits, and what he has the compiler do otherwise; with a file of his own in the tree, and a line in another, which he has git pass over.
// In a long run he has compiled nothing before.
const elsewhere = `
	[ "$(id -u)" = 1234 ]
	mkdir -p "$0/../tmp"
	export TMPDIR="$0/../tmp" TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 SOURCE_DATE_EPOCH=1
	export GOFLAGS=-tags=elsewhere GOARM64=v8.1 GOARM=7 GOPPC64=power9 GORISCV64=rva22u64 GOMIPS64=softfloat
	[ -z "${TRESTLE_LONG-}" ] || export GOCACHE="$0/../cache"
	printf 'package plugin\n\nfunc init() { version = "of his own" }\n' >"$0/pkg/plugin/own.go"
	echo own.go >>"$0/.git/info/exclude"
	echo 'A line of his own.' >>"$0/README.md"
	git -C "$0" update-index --assume-unchanged README.md
	export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.autocrlf GIT_CONFIG_VALUE_0=true MINISIGN_PASSWORD='` + password + `'
	find "$0" -exec touch --no-dereference --date=2001-02-03 {} +
	umask 077
	exec make release "$@"`

// arches are the architectures of the release that the tests look at.
func arches() map[string]string {
	every := maps.Clone(foreign)
	every[runtime.GOARCH] = ""
	return every
}

// command runs a command, whose output is its error.
func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// must is command, for a test.
func must(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, said.String())
	}
	return string(out)
}

// names lists a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		all = append(all, f.Name())
	}
	return all
}

func TestSameBytesTwice(t *testing.T) {
	one, other := names(t, made.dir), names(t, made.again)
	if !slices.Equal(one, other) {
		t.Fatalf("made once: %v\nand again: %v", one, other)
	}
	if len(one) < 20 {
		t.Errorf("%d files, expected more: %v", len(one), one)
	}
	for _, name := range one {
		a, errA := os.ReadFile(filepath.Join(made.dir, name))
		b, errB := os.ReadFile(filepath.Join(made.again, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: differs between two makings of the same commit (%v, %v)", name, errA, errB)
		}
		t.Logf("%s: %d bytes", name, len(a))
	}
}

func TestSums(t *testing.T) {
	must(t, made.dir, "sha256sum", "--check", "--strict", sums)
	for _, kind := range []string{"sha1", "sha256", "sha512"} {
		found, err := filepath.Glob(filepath.Join(made.dir, "*."+kind))
		if err != nil || len(found) != 3*len(arches())+1 {
			t.Errorf("%s: %v %v, expected one beside each archive", kind, found, err)
		}
		for _, file := range found {
			must(t, made.dir, kind+"sum", "--check", "--strict", filepath.Base(file))
		}
	}
}

// plugins are the commands of the product's module but the bundle: what a release compiles.
func plugins(t *testing.T) (all []string) {
	t.Helper()
	for _, path := range strings.Fields(must(t, "../..", "go", "list", "./cmd/...")) {
		if name := filepath.Base(path); name != bundleName {
			all = append(all, name)
		}
	}
	return all
}

// The names in the bundle are those that have a binary of their own, and the tool.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "tar", "xzf", archive("trestle", runtime.GOARCH), "./trestle")
	var said struct {
		Version, Commit string
		Plugins         []string
	}
	if err := json.Unmarshal([]byte(must(t, dir, "./trestle", "version", "--json")), &said); err != nil {
		t.Fatal(err)
	}
	want := append(plugins(t), bundleName)
	slices.Sort(want)
	if said.Version != made.version || len(said.Commit) != 12 || !slices.Equal(said.Plugins, want) {
		t.Errorf("it says %+v, want %s and %v", said, made.version, want)
	}
	all := strings.Fields(must(t, dir, "tar", "tzf", archive("trestle", runtime.GOARCH)))
	for _, name := range []string{"LICENSE", "LICENCES.txt", "README.md", "CHANGELOG.md", "man/trestle.1.gz", "man/trestle-doctor.1.gz", "completion/trestle",
		"completion/_trestle", "completion/trestle.fish", "systemd/trestle-repair.service", "systemd/trestle-watch.service", "systemd/cni-dhcp.service", "systemd/cni-dhcp.socket", "conf/10-first.conflist"} {
		if !slices.Contains(all, "./"+name) {
			t.Errorf("%s: not in the archive: %v", name, all)
		}
	}
}

// The agent is the version's, too, and has its unit beside it.
func TestAgent(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "tar", "xzf", archive(nodeName, runtime.GOARCH))
	if got := names(t, dir); !slices.Equal(got, []string{"LICENCES.txt", "LICENSE", nodeName, nodeName + ".service"}) {
		t.Errorf("has %v", got)
	}
	if said := must(t, dir, "./"+nodeName, "--version"); said != nodeName+" "+made.version+"\n" {
		t.Errorf("it says %q", said)
	}
}

// The entry of the version names every plugin of the release.
func TestChangelog(t *testing.T) {
	log, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	entry := strings.SplitN(string(log), "\n## ", 3)[1]
	for _, name := range plugins(t) {
		if !regexp.MustCompile(`[ :]` + name + `[ ,:]`).MatchString(entry) {
			t.Errorf("%s: is released, and CHANGELOG.md's %s does not tell of it", name, made.version)
		}
	}
}

// archive is the path of one.
func archive(kind, arch string) string {
	return filepath.Join(made.dir, fmt.Sprintf("%s-linux-%s-%s.tgz", kind, arch, made.version))
}

// Scripts take a member of the reference's archive alone, or unpack it and copy name by name.
func TestDropIn(t *testing.T) {
	dir, file := t.TempDir(), archive("cni-plugins", runtime.GOARCH)
	must(t, dir, "tar", "xzf", file, "./bridge", "./host-local")
	if got := names(t, dir); !slices.Equal(got, []string{"bridge", "host-local"}) {
		t.Errorf("taken alone: %v", got)
	}
	must(t, dir, "tar", "xzf", file)
	sum := int64(0)
	for _, name := range plugins(t) {
		bin := t.TempDir()
		must(t, dir, "cp", "--no-dereference", name, bin)
		info, err := os.Lstat(filepath.Join(bin, name))
		if err != nil || info.Mode() != 0o755 {
			t.Errorf("%s: %v %v, expected a file of its own that can be run", name, info.Mode(), err)
			continue
		}
		sum += info.Size()
		if said := version(t, filepath.Join(bin, name)); !strings.Contains(said, `"1.1.0"`) {
			t.Errorf("%s: VERSION says %s", name, said)
		}
	}
	if sum > reference {
		t.Errorf("%d bytes in all, the reference has %d", sum, reference)
	}
	t.Logf("%d plugins, %d bytes", len(plugins(t)), sum)
}

// What a cluster is told is there, and none of what tests it.
func TestManifests(t *testing.T) {
	all := strings.Fields(must(t, "", "tar", "tzf", filepath.Join(made.dir, "trestle-kubernetes-"+made.version+".tgz")))
	for _, name := range []string{"base/kustomization.yaml", "base/daemonset.yaml", "crio/kustomization.yaml", "debian/kustomization.yaml", "remove/kustomization.yaml",
		"chart/Chart.yaml", "chart/values.yaml", "chart/templates/daemonset.yaml", "chart/templates/node.yaml", "cni/kustomization.yaml", "cni/account.yaml", "cni/config.yaml", "cni/daemonset.yaml"} {
		if !slices.Contains(all, "./"+name) {
			t.Errorf("%s: not in the archive: %v", name, all)
		}
	}
	if slices.ContainsFunc(all, func(name string) bool { return strings.HasSuffix(name, ".go") }) {
		t.Errorf("programs are in the archive: %v", all)
	}
}

// version asks a plugin for what it speaks.
func version(t *testing.T, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{"CNI_COMMAND=VERSION"}
	cmd.Stdin = strings.NewReader(`{"cniVersion":"1.1.0"}`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}
