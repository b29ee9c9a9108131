package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// Each network in conf/ is run by the script of its name, and told of in the cookbook.
func TestEveryNetworkIsRun(t *testing.T) {
	files, err := filepath.Glob("../../conf/*.conflist")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("conf/ holds no network")
	}
	cookbook, err := os.ReadFile("../../conf/README.md")
	must(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conflist")
		script, err := os.ReadFile("testdata/conf-" + name + ".txtar")
		if errors.Is(err, fs.ErrNotExist) {
			script, err = os.ReadFile("testdata/kernels/conf-" + name + ".txtar")
		}
		must(t, err)
		_, network, _ := strings.Cut(name, "-")
		for _, verb := range []string{"add", "check", "del", "gc", "status"} {
			if !regexp.MustCompile(`(?m)^exec cnitool ` + verb + ` .*` + network + ` /run/netns/`).Match(script) {
				t.Errorf("%s: no script says cnitool %s", name, verb)
			}
		}
		if !bytes.Contains(cookbook, []byte(name+".conflist")) {
			t.Errorf("conf/README.md does not tell of %s", name)
		}
	}
}

// sessions returns what a reader of the page would paste: the blocks marked as sh.
func sessions(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", page))
	must(t, err)
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(m[1]))
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no session", page)
	}
	return blocks
}

// TestReadmeSession pastes the README's first session into a shell, as a newcomer does, and holds it to the output that the page shows
// in the block that follows.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	must(t, err)
	_, after, found := strings.Cut(string(text), sessions(t, "README.md")[0]+"```\n")
	_, after, opened := strings.Cut(after, "```text\n")
	want, _, closed := strings.Cut(after, "```")
	if !found || !opened || !closed {
		t.Fatal("README.md shows no output after its first session")
	}
	nstest.Run(t, func(t *testing.T) {
		got := paste(t, sessions(t, "README.md")[0])
		for line := range strings.Lines(want) {
			if !strings.Contains(got, strings.TrimSpace(line)) {
				t.Errorf("README.md promises %q, which is not in\n%s", strings.TrimSpace(line), got)
			}
		}
	})
}

// TestCookbookSession pastes what the cookbook says of one network into a shell, and what it says of two on one container.
func TestCookbookSession(t *testing.T) {
	t.Parallel()
	blocks := sessions(t, "conf/README.md")
	text, err := os.ReadFile("../../conf/README.md")
	must(t, err)
	for _, m := range regexp.MustCompile("(?m)^```\n((?:cnitool .*\n)+)```$").FindAllSubmatch(text, -1) {
		blocks = append(blocks, "ip netns add web\nip link add uplink type veth peer name far\nip address add 192.0.2.1/24 dev uplink\nip link set far up\nip link set uplink up\n"+string(m[1]))
	}
	if len(blocks) < 4 {
		t.Errorf("%d blocks", len(blocks))
	}
	first := sessions(t, "README.md")[0]
	first = first[strings.Index(first, "mount -t"):strings.Index(first, "ip netns add")]
	for i, block := range blocks {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { paste(t, "set -e\n"+first+block) })
		})
	}
}

// paste runs the session in the repository, with the built binaries where `make build` would have put them.
func paste(t *testing.T, session string) string {
	t.Helper()
	top := t.TempDir()
	must(t, os.Mkdir(top+"/conf", 0o755))
	must(t, os.CopyFS(top+"/conf", os.DirFS("../../conf")))
	must(t, os.Symlink(os.Getenv(pluginsVar), top+"/bin"))
	must(t, os.Symlink(os.Getenv(toolsVar), top+"/.tools"))
	var script strings.Builder
	for line := range strings.Lines(session) {
		if !strings.HasPrefix(line, "make ") { // TestMain has built
			script.WriteString(line)
		}
	}
	cmd := exec.Command("bash")
	cmd.Dir, cmd.Stdin = top, strings.NewReader(script.String())
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv(pathVar)+":/usr/sbin:/sbin", "SHELL=/bin/bash")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the session ended with %v:\n%s", err, out)
	}
	return string(out)
}

// TestDemo runs the demo, which judges itself, where there is nothing but the packages that are named for it.
func TestDemo(t *testing.T) {
	t.Parallel()
	names := programs(t, needed(t, "demo"))
	nstest.Run(t, func(t *testing.T) {
		bare(t, names)
		cmd := exec.Command("../demo/run")
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv(toolsVar)+":/usr/sbin:/usr/bin", "CNI_PATH="+os.Getenv(pluginsVar))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(string(out), "\n8  All of it once more, drawn\n") || bytes.Contains(out, []byte("\x1b[")) {
			t.Errorf("not all scenes, or colour where there is no terminal:\n%s", out)
		}
	})
}

// The page on changing hands tells of each binary of the reference, once, whose is to be taken, and of none as ours that is not here.
func TestEveryBinaryIsSomebodys(t *testing.T) {
	page, err := os.ReadFile("../../docs/backends.md")
	must(t, err)
	whose := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (ours|theirs) \\|").FindAllStringSubmatch(string(page), -1) {
		whose[row[1]] += row[2]
	}
	binaries, err := os.ReadDir(reference.Newest.Dir)
	must(t, err)
	for _, file := range binaries {
		if said := whose[file.Name()]; said != "ours" && said != "theirs" {
			t.Errorf("%s: %q", file.Name(), said)
		}
	}
	for name, said := range whose {
		if _, err := os.Stat("../../cmd/" + name); said == "ours" && err != nil {
			t.Errorf("%s: said to be ours: %v", name, err)
		}
	}
	if len(whose) != len(binaries) {
		t.Errorf("%d binaries in the page, and the reference has %d", len(whose), len(binaries))
	}
}
