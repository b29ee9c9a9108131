package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/test/nstest"
)

// writerVar makes this test binary one of many plugins that write lines: FILE LIMIT NAME COUNT.
const writerVar = "JOURNAL_TEST_WRITER"

func TestMain(m *testing.M) {
	if os.Getenv(costVar) != "" {
		fmt.Print(cost().Nanoseconds())
		return
	}
	if text := os.Getenv(writerVar); text != "" {
		var l Log
		var name string
		var count int
		if _, err := fmt.Sscan(text, &l.File, &l.Limit, &name, &count); err != nil {
			panic(err)
		}
		for i := range count {
			l.write(fmt.Appendf(nil, "%s-%d %s\n", name, i, strings.Repeat("x", 300)))
		}
		return
	}
	os.Exit(m.Run())
}

// Sixteen processes at once write ten thousand lines, and the file is full in the midst of it: none is lost, none torn, and nobody waits.
func TestCrowd(t *testing.T) {
	const writers, each = 16, 625
	file := filepath.Join(t.TempDir(), "log")
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = []string{fmt.Sprintf("%s=%s %d w%d %d", writerVar, file, 2<<20, w, each)}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	seen := make(map[string]int)
	for _, name := range []string{file, file + ".1"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			who, rest, _ := strings.Cut(line, " ")
			if rest != strings.Repeat("x", 300)+"\n" {
				t.Fatalf("%s: torn: %.40q", name, line)
			}
			seen[who]++
		}
	}
	for w := range writers {
		for i := range each {
			if n := seen[fmt.Sprintf("w%d-%d", w, i)]; n != 1 {
				t.Fatalf("line %d of writer %d: %d times", i, w, n)
			}
		}
	}
}

// A full disk loses lines, and no more than that: what is written once there is room can be read.
func TestFullDisk(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
		defer unix.Unmount(dir, unix.MNT_DETACH)
		l := Log{To: "file", File: filepath.Join(dir, "log"), Limit: 1 << 20}
		ballast := filepath.Join(dir, "ballast")
		must(t, os.WriteFile(ballast, make([]byte, 56<<10), 0o600))
		for i := range 40 {
			l.write(fmt.Appendf(nil, "{\"line\": %d, \"text\": %q}\n", i, strings.Repeat("x", 600)))
		}
		must(t, os.Remove(ballast))
		l.write([]byte("{\"line\": 99}\n"))
		text, err := os.ReadFile(l.File)
		must(t, err)
		if !bytes.HasPrefix(text, []byte(`{"line": 0,`)) || !bytes.HasSuffix(text, []byte("{\"line\": 99}\n")) {
			t.Errorf("%.40q ... %q", text, text[max(0, len(text)-60):])
		}
	})
}

// What cannot become the file before has a bound all the same, and why nothing is written any more is told.
func TestStuck(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, os.MkdirAll(filepath.Dir(Path), 0o755))
		for name, plant := range map[string]func(path string) error{
			"a folder in its way": func(path string) error { return os.Mkdir(path+".1", 0o700) },
			"mounted": func(path string) error {
				must(t, os.WriteFile(path, nil, 0o600))
				return unix.Mount(path, path, "", unix.MS_BIND, "")
			},
			"a closed directory": func(path string) error {
				must(t, os.WriteFile(path, nil, 0o600))
				dir := filepath.Dir(path)
				return errors.Join(unix.Mount(dir, dir, "", unix.MS_BIND, ""), unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""),
					unix.Mount(path, path, "", unix.MS_BIND, ""), unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT, ""))
			},
		} {
			path := filepath.Join(t.TempDir(), "log")
			if err := plant(path); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			l := Log{To: "file", File: path, Limit: MinLimit}
			line := []byte(strings.Repeat("x", 999) + "\n")
			for range 4 * MinLimit / len(line) {
				l.write(line)
			}
			info, err := os.Stat(path)
			if err != nil || info.Size() < MinLimit || info.Size() > 2*MinLimit+int64(len(line)) {
				t.Errorf("%s: %d bytes where %d are the limit, %v", name, info.Size(), MinLimit, err)
			}
			must(t, os.WriteFile(Path, fmt.Appendf(nil, `{"log": {"to": "file", "file": %q, "limit": %d}}`, path, MinLimit), 0o644))
			if err := Trouble(); err == nil || !strings.Contains(err.Error(), "is full, and cannot become "+path+".1") {
				t.Errorf("%s: %v", name, err)
			}
			_ = unix.Unmount(path, unix.MNT_DETACH)
			_ = unix.Unmount(filepath.Dir(path), unix.MNT_DETACH)
		}
		huge := Log{To: "file", File: filepath.Join(t.TempDir(), "log"), Limit: 1<<63 - 1}
		for range 2 {
			huge.write([]byte("line\n"))
		}
		if text, err := os.ReadFile(huge.File); err != nil || string(text) != "line\nline\n" {
			t.Errorf("a limit beyond all disks: %q, %v", text, err)
		}
	})
}

// Whatever else is under the name is left alone, and waited for by nobody.
func TestOnlyFiles(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink(path+".target", path) },
		"no room":     func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		path := filepath.Join(t.TempDir(), "log")
		must(t, make(path))
		Log{To: "file", File: path, Limit: MinLimit}.write([]byte("line\n"))
		if _, err := os.Stat(path + ".target"); err == nil {
			t.Errorf("%s: written through", name)
		}
	}
}

// The line of a call has its phases, what it said, its error with the remedy, and its place in the runtime's trace. A call within it has none of its own.
func TestCall(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log")
		must(t, os.MkdirAll(filepath.Dir(Path), 0o755))
		must(t, os.WriteFile(Path, fmt.Appendf(nil, `{"log": {"to": "file", "file": %q}}`, file), 0o644))
		env := map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_ARGS": "K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop",
			Variable: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		ctx, call := Begin(t.Context(), "bridge", env)
		var shown bytes.Buffer
		fmt.Fprintln(call.Hear(&shown), "trestle bridge: goes on without")
		phase.End(ctx, "make", "veth pair")
		if _, inner := Begin(ctx, "host-local", env); inner != nil {
			t.Error("a call within a call has a line of its own")
		}
		call.End("net", nil, fault.New(fault.Taken, "ask for another", "port 8080: taken"))
		text, err := os.ReadFile(file)
		must(t, err)
		var e Entry
		must(t, json.Unmarshal(text, &e))
		if e.Container != "c1" || e.Pod != "shop/web" || e.Network != "net" || e.Code != 100 || e.Error != "port 8080: taken" || e.Remedy != "ask for another" ||
			len(e.Made()) != 1 || len(e.Said) != 1 || e.Trace == nil || e.Trace.Parent != "b7ad6b7169203331" {
			t.Errorf("%s", text)
		}
		if env[Variable] != "00-"+e.Trace.ID+"-"+e.Trace.Span+"-01" {
			t.Errorf("handed on: %s", env[Variable])
		}
		for _, verb := range []string{"STATUS", "REPAIR", "VERSION"} {
			env["CNI_COMMAND"] = verb
			_, call := Begin(context.Background(), "bridge", env)
			call.End("net", nil, nil)
		}
		_, quiet := Begin(Silent(context.Background()), "bridge", env)
		quiet.End("net", nil, errors.New("somebody looked"))
		if after, _ := os.ReadFile(file); !bytes.Equal(after, text) {
			t.Errorf("lines of what did nothing:\n%s", after[len(text):])
		}
	})
}

func TestJoin(t *testing.T) {
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for text, want := range map[string]bool{
		"":                                                        false,
		"00-" + id + "-" + parent + "-01":                         true,
		"00-" + id + "-" + parent + "-00":                         true,
		"cc-" + id + "-" + parent + "-01-x":                       true, // of a version to come
		"00-" + id + "-" + parent + "-01-x":                       false,
		"ff-" + id + "-" + parent + "-01":                         false,
		"00-" + id + "-" + parent:                                 false,
		"00-" + id[1:] + "-" + parent + "-1":                      false,
		"00-" + strings.ToUpper(id) + "-" + parent + "-01":        false,
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01":    false,
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01":        false,
		"00-" + id + "-" + parent[:8] + "\n" + parent[9:] + "-01": false,
	} {
		env := map[string]string{Variable: text}
		if got := join(env); (got != nil) != want {
			t.Errorf("%q: %+v", text, got)
		} else if got == nil && env[Variable] != text {
			t.Errorf("%q became %q", text, env[Variable])
		}
	}
}

func TestChoice(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                                    `{ "" 0}`,
		`{"log": {"to": "off"}}`:                                `{ "" 0}`,
		`{"log": {"to": "journald"}}`:                           `{journald "" 0}`,
		`{"log": {"to": "file"}}`:                               `{file "/var/log/trestle.log" 16777216}`,
		`{"log": {"to": "file", "limit": 9}}`:                   `log.limit: 9: must be 65536 bytes at the least`,
		`{"log": {"to": "file", "file": "x"}}`:                  `log.file: "x": must be an absolute path`,
		`{"log": {"to": "syslog"}}`:                             `log.to: "syslog": must be off, file or journald`,
		`{"log": `:                                              `unexpected end of JSON input`,
		`{"log": "file"}`:                                       `cannot unmarshal string`,
		`{"log": {"to": "file", "limit": 0}}`:                   `{file "/var/log/trestle.log" 16777216}`,
		`{"log": {"to": "file", "limit": -1}}`:                  `log.limit: -1: must be 65536 bytes at the least`,
		`{"log": {"limit": "1G", "to": "x"}}`:                   `cannot unmarshal string`,
		`{"log": {"to": "file", "limit": 9223372036854775807}}`: `{file "/var/log/trestle.log" 9223372036854775807}`,
		`{"log": {"to": "file", "limit": 1e300}}`:               `cannot unmarshal number 1e300`,
		`{"log": {"to": "file", "limit": 65536.5}}`:             `cannot unmarshal number 65536.5`,
		`{"log": {"to": "file", "file": ""}}`:                   `{file "/var/log/trestle.log" 16777216}`,
		`{"log": {"to": "file", "file": null, "x": 1}, "y": 2}`: `{file "/var/log/trestle.log" 16777216}`,
		`{"log": null}`:                                         `{ "" 0}`,
		`[]`:                                                    `cannot unmarshal array`,
		`null`:                                                  `{ "" 0}`,
		``:                                                      `unexpected end of JSON input`,
		"{\"log\": {\"to\": \"file\\u0000\"}}":                  `log.to: "file\x00": must be off, file or journald`,
	} {
		var got string
		if l, err := decode([]byte(text)); err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("{%s %q %d}", l.To, l.File, l.Limit)
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

var must = nstest.Must

// Why nothing is written is known before anybody misses it.
func TestTrouble(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Dir(Path), 0o755))
		must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "there"), nil, 0o600))
		full := filepath.Join(dir, "full")
		must(t, os.Mkdir(full, 0o700))
		must(t, unix.Mount("tmpfs", full, "tmpfs", 0, "size=4k"))
		defer unix.Unmount(full, unix.MNT_DETACH)
		must(t, os.WriteFile(filepath.Join(full, "ballast"), make([]byte, 4096), 0o600))
		for log, want := range map[string]string{
			`{}`:                               "",
			`{"to": "file", "file": "new"}`:    "",
			`{"to": "file", "file": "there"}`:  "",
			`{"to": "file", "file": "pipe"}`:   "not a regular file",
			`{"to": "file", "file": "no/log"}`: "no such file",
			`{"to": "file", "file": "full/x"}`: "no space left",
			`{"to": "journald"}`:               "no such file",
			`{"to": "x"}`:                      "must be off, file or journald",
		} {
			log = strings.Replace(log, `"file": "`, `"file": "`+dir+"/", 1)
			must(t, os.WriteFile(Path, []byte(`{"log": `+log+`}`), 0o644))
			if err := Trouble(); fmt.Sprint(err) != "<nil>" == (want == "") || want != "" && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", log, err, want)
			}
		}
	})
}
