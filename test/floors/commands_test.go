package floors

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/trestle-cni/trestle/pkg/operator/tool"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// programs begin the command lines of pages. (bridge(8) is not among them: it is a plugin, a kind of link and a family of filters as well.)
var programs = strings.Fields(`apt apt-get buildah cnitool crictl ctr curl deploy/test/inside deploy/test/kubernetes/run dhcp dnf dpkg dpkg-divert etcdctl etcdutl ethtool
	go helm ip iptables kubeadm kubectl kustomize make minisign modprobe mount nerdctl nft podman rpm sha256sum skopeo sysctl systemctl systemd-analyze systemd-run
	tar trestle trestle-node unshare`)

// words of ip(8) after its name: others are a packet filter's.
var objects = strings.Fields("link route rule netns neigh addr address vrf -n -s -o -4 -6 -batch -brief -all")

// pasted are pages whose blocks of commands a test runs whole, with the file that has the test.
var pasted = map[string]string{
	"README.md":        "test/e2e/pages_test.go",
	"conf/README.md":   "test/e2e/pages_test.go",
	"docs/tutorial.md": "test/e2e/tutorial_test.go",
	"docs/node.md":     "deploy/test/kubernetes/node.sh",
}

// spoken are programs that tests call by a function of their own, which has the name.
var spoken = []string{"podman", "nerdctl", "trestle-node"}

// scripts are where tests run programs.
var scripts = []string{"deploy/test", "deploy/release", "test/e2e", "test/runtimes", "test/demo", "test/laws", "test/kernels", "cmd/trestle-node", ".ci"}

// commandLine is one of a page.
type commandLine struct{ page, text string }

// Each command line that a page shows is run by a test, as it stands there or by its words; or it stands in testdata/commands with the reason why not.
// Those of our own are held to what takes them: the Makefile, the packages and their tests, the tool.
func TestEveryCommandLineIsRun(t *testing.T) {
	reasons, runs := exceptions(t), ran(t)
	used := make(map[string]bool)
	for _, c := range commandLines(t) {
		words := strings.Fields(c.text)
		var err error
		switch words[0] {
		case "make":
			err = made(t, words[1:])
		case "go":
			err = tested(words[1:])
		case "trestle":
			err = taken(words[1:])
		default:
			if !runs.has(c) {
				err = fmt.Errorf("no test runs it")
			}
		}
		_, excepted := reasons[c.text]
		used[c.text] = used[c.text] || excepted
		if excepted == (err == nil) {
			t.Errorf("%s: %s: %v, in testdata/commands: %v", c.page, c.text, err, excepted)
		}
	}
	for text := range reasons {
		if !used[text] {
			t.Errorf("testdata/commands: %s: no page has it", text)
		}
	}
}

// exceptions reads the table of what no test runs: a command line and, after a bar, the reason.
func exceptions(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for line := range strings.Lines(text(t, "test/floors/testdata/commands")) {
		if command, reason, found := strings.Cut(line, " | "); found {
			all[strings.TrimSpace(command)] = reason
			for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(reason, -1) {
				if !slices.ContainsFunc(below(t, ".", "_test.go"), func(file string) bool { return strings.Contains(text(t, file), "func "+name+"(") }) {
					t.Errorf("testdata/commands: %s: there is no %s", command, name)
				}
			}
		} else if !strings.HasPrefix(line, "#") {
			t.Errorf("testdata/commands: %q has no reason", line)
		}
	}
	return all
}

// commandLines are those of all pages, but of blocks that a test runs whole.
func commandLines(t *testing.T) (all []commandLine) {
	t.Helper()
	for _, page := range below(t, ".", ".md") {
		within := ""
		for line := range strings.Lines(text(t, page)) {
			if strings.HasPrefix(line, "```") {
				within = map[bool]string{true: strings.TrimSpace(line), false: ""}[within == ""]
				continue
			}
			parts := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1)
			if within != "" {
				before, _, _ := strings.Cut(line, "   ")
				parts = [][]string{{"", before}}
			}
			if (within == "```sh" || within == "```" && strings.HasPrefix(line, "cnitool ")) && pasted[page] != "" {
				if !strings.Contains(text(t, pasted[page]), page) {
					t.Errorf("%s: %s does not run it", page, pasted[page])
				}
				continue
			}
			for _, part := range parts {
				all = append(all, commands(page, part[1])...)
			}
		}
	}
	return all
}

// commands are the parts of a piece of text that begin with a program's name.
func commands(page, text string) (all []commandLine) {
	text = regexp.MustCompile(`'[^']*'`).ReplaceAllStringFunc(text, func(quoted string) string { return strings.ReplaceAll(quoted, " ", "_") })
	for _, part := range regexp.MustCompile(` && |; | \| `).Split(text, -1) {
		words := strings.Fields(part)
		for len(words) > 0 && regexp.MustCompile(`^[A-Z0-9_]+=`).MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) < 2 {
			continue
		}
		for _, place := range []string{"./", "bin/", "/opt/cni/bin/"} {
			words[0] = strings.TrimPrefix(words[0], place)
		}
		if slices.Contains(programs, words[0]) && (words[0] != "ip" || slices.Contains(objects, words[1])) {
			all = append(all, commandLine{page, strings.Join(words, " ")})
		}
	}
	return all
}

// made says whether make has that target, and takes the words after it.
func made(t *testing.T, words []string) error {
	t.Helper()
	makefile := text(t, "Makefile")
	for _, word := range words {
		word = strings.Trim(word, "[]")
		name, _, variable := strings.Cut(word, "=")
		if variable && strings.Contains(makefile, "$("+name+")") || name == "MINISIGN_KEY" {
			continue
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(word) + `:`).MatchString(makefile) {
			return fmt.Errorf("make knows no %s", word)
		}
	}
	return nil
}

// tested says whether there are the packages that go is to test or run, and in one of them what -run and -bench ask for.
func tested(words []string) error {
	var functions []string
	found := ""
	for i, word := range words {
		switch {
		case strings.HasPrefix(word, "./"):
			folder := strings.TrimSuffix(word, "/...")
			files, err := filepath.Glob("../../" + folder + "/*")
			if len(files) == 0 { // of the agent's module, whose page says so
				files, err = filepath.Glob("../../cmd/trestle-node/" + folder + "/*")
			}
			if err != nil || len(files) == 0 {
				return fmt.Errorf("%s: no such package", word)
			}
			for _, file := range files {
				text, _ := os.ReadFile(file)
				found += string(text)
			}
		case i > 0 && (words[i-1] == "-run" || words[i-1] == "-bench"):
			name, _, _ := strings.Cut(strings.Trim(word, "'"), "/")
			functions = append(functions, strings.Split(name, "|")...)
		}
	}
	for _, name := range functions {
		if found != "" && !regexp.MustCompile(`func (Test|Benchmark)?`+name).MatchString(found) {
			return fmt.Errorf("no test %s", name)
		}
	}
	return nil
}

// taken says whether the tool takes the words. That each of its commands does what it says is shown by TestExamples of test/e2e and others there.
func taken(words []string) error {
	command, rest, err := tool.Command(plugin.Bundle{}).Find(words)
	if err == nil {
		err = command.ParseFlags(rest)
	}
	if err == pflag.ErrHelp {
		return nil
	}
	return err
}

// running is what tests run: the text of scripts and programs without their comments and complaints, a space between words; and the lines of pages that they ask for.
type running struct {
	text  string
	asked []string // beginnings of command lines
}

func ran(t *testing.T) running {
	t.Helper()
	var r running
	asked := regexp.MustCompile(`(?:(?:line|as_asked)\(?(?: |t, ")[\w/]+\.md"?,? ["']|tell ')([^"']+)["']`)
	var all strings.Builder
	for _, folder := range scripts {
		for _, file := range below(t, folder, "") {
			if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") && !strings.HasPrefix(file, "test/") {
				continue
			}
			for line := range strings.Lines(text(t, file)) {
				for _, m := range asked.FindAllStringSubmatch(line, -1) {
					for _, c := range commands("", m[1]+" ") {
						r.asked = append(r.asked, c.text)
					}
				}
				if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "#") && !strings.HasPrefix(trimmed, "//") && !strings.Contains(line, "Errorf(") {
					all.WriteString(line)
				}
			}
		}
	}
	r.text = strings.Join(strings.FieldsFunc(all.String(), func(c rune) bool { return strings.ContainsRune(" \t\n\"',`(){}[]", c) }), " ")
	return r
}

// has says whether a test runs the line: as the page has it, or all its words in their order, of which those in capitals stand for others.
func (r running) has(c commandLine) bool {
	if slices.ContainsFunc(r.asked, func(with string) bool { return strings.HasPrefix(c.text, with) }) {
		return true
	}
	words, pattern := strings.Fields(c.text), ""
	if slices.Contains(spoken, words[0]) {
		words = words[1:]
	}
	for _, word := range words {
		switch {
		case strings.Trim(word, ".[]") == "":
			continue
		case regexp.MustCompile(`^[A-Z][A-Z.]+$`).MatchString(word):
			pattern += `\S+ `
		default:
			pattern += regexp.QuoteMeta(strings.Trim(word, "'")) + " "
		}
	}
	return regexp.MustCompile(`(^|[ /])` + pattern).MatchString(r.text)
}

// below lists the files of the tree below a folder whose names end so, but those that somebody has made there.
func below(t *testing.T, folder, ending string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".tools", "bin", "dist", "man"}, entry.Name()):
			return filepath.SkipDir
		case entry.Type().IsRegular() && strings.HasSuffix(path, ending):
			paths = append(paths, strings.TrimPrefix(path, "../../"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// text reads a file of the tree.
func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
