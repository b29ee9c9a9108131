package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/tool"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestWithoutRoot looks at containers that live with the eyes of somebody who may read nothing of theirs, or only a part: what is not seen is said to be
// unseen, nothing is called dead, torn or nobody's, and no remedy removes anything.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]string{
		"all":                 "",
		"reservations-closed": "chmod 0 /var/lib/cni/networks/net",
		"data-closed":         "chmod 0 /var/lib/cni",
		"results-open":        "chmod 0644 /var/lib/cni/results/*",
		"reservations-open":   "chmod 0644 /var/lib/cni/networks/net/*",
		"results-closed":      "chmod 0 /var/lib/cni/results",
		"files-open":          "chmod 0644 /var/lib/cni/results/* /var/lib/cni/networks/net/*",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settle(t, 2, "udp")
				must(t, os.MkdirAll("/etc/cni/net.d", 0o755))
				must(t, os.WriteFile("/etc/cni/net.d/10-net.conflist", s.list.Bytes, 0o644))
				s.run("/bin/sh", "-ec", "mkdir /run/bin; chmod 0 /var/lib/cni/results/* /var/lib/cni/networks/net/*; chmod 0555 /run/bin /run/cni /run/cni/trestle; "+hide)
				s.blind()
				s.asksEverything(name)
			})
		})
	}
}

func (s *settled) blind() {
	before := snapshot.Take(s)
	for _, f := range s.seenByNobody() {
		if strings.Contains(f.Remedy, "rm ") || strings.Contains(f.Remedy, "delete") || strings.Contains(f.Remedy, "gc") ||
			strings.HasPrefix(f.ID, "leaked") || f.ID == "reservation-nobody" || f.ID == "result-torn" || f.ID == "half-made" || f.ID == "drift" {
			s.Errorf("doctor judges what it has not seen: %+v", f)
		}
	}
	out, _ := s.asNobody("ls", "--json")
	var answer struct {
		Attachments []struct{ ContainerID, State string }
	}
	must(s.T, json.Unmarshal(out, &answer))
	for _, a := range answer.Attachments {
		if a.State != "unseen" {
			s.Errorf("ls: %s is %s", a.ContainerID, a.State)
		}
	}
	for _, args := range [][]string{{"gc"}, {"gc", "--yes"}, {"repair"}, {"doctor", "--fix", "--yes", "--conf-dir", "/etc/cni/net.d"}, {"show", "container:c0"}} {
		out, err := s.asNobody(args...)
		if text := string(out); strings.Contains(text, "remove attachment") || strings.Contains(text, "is dead") || strings.Contains(text, "delete th") ||
			strings.Contains(text, "leaked") || err == nil && args[0] == "gc" {
			s.Errorf("%v: %v\n%s", args, err, text)
		}
	}
	if out, err := s.asNobody("context", strconv.Itoa(os.Getpid())); err == nil || !strings.Contains(string(out), "may not be looked at") {
		s.Errorf("context of a process of another's: %v\n%s", err, out)
	}
	if diff := snapshot.Diff(before, snapshot.Take(s)); diff != "" {
		s.Errorf("changed:\n%s", diff)
	}
}

// unrooted are the tool's commands as an ordinary user gives them: the statuses that they may end with, and words of which one is to be said.
var unrooted = []struct {
	command  string
	statuses string
	says     string
}{
	{"ls", "0", "unseen"},
	{"ls --json", "0", `"unseen"`},
	{"show container:c0", "0", "unseen"},
	{"show net", "0", "unseen"},
	{"show 10.1.0.2", "01", "as far as could be seen|for whom is not known|unseen"},
	{"show br0", "0", "nothing that was found"},
	{"context host", "0", "not found or not looked into"},
	{"context namespace:c0", "0", "only root may enter it"},
	{"graph", "0", "unknown: not permitted"},
	{"graph --focus c0", "0", "unknown: not permitted"},
	{"graph --focus c9", "1", "as far as could be seen"},
	{"show c9", "1", "as far as could be seen"},
	{"trace c0 c1", "2", "as root"},
	{"trace host 10.1.0.2:7", "2", "cannot tell: not all rules could be read"},
	{"doctor", "12", "unseen"},
	{"doctor --fix --yes", "12", "unseen"},
	{"lint /etc/cni/net.d/10-net.conflist", "0", ""},
	{"repair", "1", "run it as root"},
	{"repair --watch", "1", "run it as root"},
	{"pause", "1", "run it as root"},
	{"resume", "1", "run it as root"},
	{"gc", "1", "run it as root"},
	{"gc --yes --json", "1", "run it as root"},
	{"log", "1", "no log is kept"},
	{"top --once --interval 100ms", "0", "ask as root"},
	{"metrics", "0", `state="unseen"`},
	{"metrics -o /run/bin/x.prom", "1", "directory that can be written"},
	{"install --bin-dir /run/bin", "1", "permission denied"},
	{"uninstall --bin-dir /run/bin", "1", "CAP_NET_ADMIN"},
	{"version", "0", "trestle"},
	{"completion bash", "0", "trestle"},
	{"help gc", "0", "--yes"},
}

// asksEverything gives every command. None says that something is nobody's, or free, or all there is, where it has not looked.
func (s *settled) asksEverything(name string) {
	s.Helper()
	for _, c := range unrooted {
		out, err := s.asNobody(strings.Fields(c.command)...)
		text := string(out)
		if status := strconv.Itoa(exitOf(err)); !strings.Contains(c.statuses, status) {
			s.Errorf("%s: status %s, want one of %s\n%s", c.command, status, c.statuses, text)
		}
		if !slices.ContainsFunc(strings.Split(c.says, "|"), func(words string) bool { return strings.Contains(text, words) }) {
			s.Errorf("%s: does not say %q\n%s", c.command, c.says, text)
		}
		for _, lie := range []string{"for nobody", "not connected", "nothing wrong was found", "nothing to remove", "leaked", "half-made"} {
			if strings.Contains(text, lie) {
				s.Errorf("%s: says %q of what it has not seen\n%s", c.command, lie, text)
			}
		}
		if closed := strings.HasSuffix(name, "-closed") && name != "results-closed"; closed && strings.Contains(text, `trestle_addresses_free{`) {
			s.Errorf("%s: counts addresses that it has not seen\n%s", c.command, text)
		}
	}
	for _, c := range tool.Command(plugin.Bundle{}).Commands() {
		if c.Name() != "plugin" && !slices.ContainsFunc(unrooted, func(one struct{ command, statuses, says string }) bool {
			return strings.Fields(one.command)[0] == c.Name()
		}) {
			s.Errorf("trestle %s: nobody has tried it without root", c.Name())
		}
	}
}

// asNobody runs the tool as somebody who may do nothing here.
func (s *settled) asNobody(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(s.Context(), filepath.Join(os.Getenv(pluginsVar), "trestle"), args...)
	cmd.SysProcAttr = nobody()
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.Fatalf("%v: %v", args, err)
	}
	if strings.Join(args, " ") != "ls --json" {
		return []byte(out.String() + complaints.String()), err
	}
	return []byte(out.String()), err
}

func (s *settled) seenByNobody() []finding {
	s.Helper()
	must(s.T, os.MkdirAll("/etc/cni/net.d", 0o755))
	cmd := exec.CommandContext(s.Context(), filepath.Join(os.Getenv(pluginsVar), "trestle"), "doctor", "--json")
	cmd.SysProcAttr = nobody()
	out, _ := cmd.Output() // the status says how bad it is
	var answer struct{ Findings []finding }
	must(s.T, json.Unmarshal(out, &answer))
	return answer.Findings
}
