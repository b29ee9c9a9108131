package tool

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// sampled is a sample as Prometheus reads it (exposition formats, text, version 0.0.4).
var sampled = regexp.MustCompile(`^(trestle_[a-z_]+\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\}) [0-9.e+-]+$`)

// TestExposition has names in the host that no format is made for, and things that are there twice: each line is one, and no two are of the same labels, since a collector
// refuses all of a file for one.
func TestExposition(t *testing.T) {
	names := []string{"net", "a\"b", "a\\", "a\nb", "a\r\nb", "a\x00b", "\xff", "\xfe", "a\",state=\"x", "} 1\ntrestle_unread{", "\u202egnp", strings.Repeat("x", 10000), ""}
	first := netip.MustParseAddr("10.1.0.1")
	var h observe.Host
	var found []doctor.Finding
	for range 2 {
		for _, name := range names {
			h.Attachments = append(h.Attachments, &observe.Attachment{Network: name, State: observe.State(name)})
			h.Networks = append(h.Networks, &observe.Network{Name: name, Ranges: []*observe.Range{{First: first, Last: first, Size: 1}, {First: first, Last: first, Size: 1, Used: 1}}})
			found = append(found, doctor.Finding{ID: name, Severity: doctor.Warning})
		}
	}
	var x exposition
	x.host(&h)
	x.findings(found)
	x.end()
	seen, sum := make(map[string]bool), 0
	for _, line := range strings.Split(strings.TrimSuffix(x.String(), "\n"), "\n") {
		if strings.HasPrefix(line, "# ") {
			continue
		}
		m := sampled.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("no sample: %q", line)
			continue
		}
		if seen[m[1]] {
			t.Errorf("twice: %q", m[1])
		}
		seen[m[1]] = true
		if strings.HasPrefix(line, "trestle_addresses_used{") && strings.HasSuffix(line, " 2") {
			sum++
		}
	}
	if wellNamed := len(names) - 1; sum != wellNamed-1 || len(seen) < 4*wellNamed { // the two that are no text look alike
		t.Errorf("%d networks with two addresses in use, %d samples:\n%s", sum, len(seen), x.String())
	}
}

// TestVerbsExposed holds the verbs of a log to what promtool asks of metrics beyond their grammar: quantiles, a sum and a count are a summary's, and of nothing else; and
// to what was in the log, of a plugin of any name.
func TestVerbsExposed(t *testing.T) {
	var x exposition
	must(t, x.verbsIn(func(each func(journal.Entry) bool) error {
		for i, plugin := range []string{"bridge", "bridge", "a\"b\n", "\xff"} {
			each(journal.Entry{Verb: "ADD", Plugin: plugin, Millis: float64(i+1) * 500})
		}
		each(journal.Entry{Verb: "ADD", Plugin: "bridge", Code: 100, Millis: 4000})
		return nil
	}))
	x.end()
	kind := ""
	for line := range strings.Lines(x.String()) {
		if after, is := strings.CutPrefix(line, "# TYPE "); is {
			_, kind, _ = strings.Cut(strings.TrimSpace(after), " ")
		}
		if of := regexp.MustCompile(`quantile="|_sum\{|_count\{`).FindString(line); of != "" && kind != "summary" {
			t.Errorf("%s of a %s: %s", of, kind, line)
		}
	}
	for _, want := range []string{"# TYPE trestle_log_verbs gauge", `trestle_log_verbs{verb="ADD",plugin="bridge",code="0"} 2`, `trestle_log_verbs{verb="ADD",plugin="bridge",code="100"} 1`,
		"# TYPE trestle_log_verb_seconds summary", `trestle_log_verb_seconds_count{verb="ADD",plugin="bridge"} 3`, `trestle_log_verb_seconds_sum{verb="ADD",plugin="bridge"} 5.5`,
		`trestle_log_verb_seconds{verb="ADD",plugin="bridge",quantile="0.5"} 1`, `trestle_log_verb_seconds{verb="ADD",plugin="bridge",quantile="1"} 4`,
		`trestle_log_verb_seconds_count{verb="ADD",plugin="a\"b\n"} 1`, "trestle_log_verb_seconds_count{verb=\"ADD\",plugin=\"\uFFFD\"} 1"} {
		if !strings.Contains(x.String(), want+"\n") {
			t.Errorf("no line %s in\n%s", want, x.String())
		}
	}
}

// TestOutput has something else than a file under the name: it stays as it is.
func TestOutput(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"a pipe":         func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder":       func(path string) error { return os.Mkdir(path, 0o700) },
		"a device":       func(path string) error { return os.Symlink("/dev/null", path) },
		"a dead link":    func(path string) error { return os.Symlink(path+".target", path) },
		"a socket":       func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"no file at all": func(path string) error { return os.Symlink("/dev/stdout", path) },
	} {
		path := filepath.Join(t.TempDir(), "x.prom")
		must(t, plant(path))
		before, err := os.Lstat(path)
		must(t, err)
		c := Command(nil)
		c.SetArgs([]string{"metrics", "--output", path})
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), path+": is something else than a file") {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() || !os.SameFile(before, after) {
			t.Errorf("%s: %v, %v", name, after, err)
		}
	}
}
