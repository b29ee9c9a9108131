package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestWithoutRoot looks at containers that live with the eyes of somebody who may read nothing of theirs, or only a part: what is not seen is said to be
// unseen, nothing is called dead, torn or nobody's, and no remedy removes anything.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]string{
		"all":                 "",
		"reservations-closed": "chmod 0700 /var/lib/cni/networks/net",
		"data-closed":         "chmod 0700 /var/lib/cni",
		"results-open":        "chmod 0755 /var/lib/cni /var/lib/cni/results; chmod 0644 /var/lib/cni/results/*",
		"reservations-open":   "chmod 0644 /var/lib/cni/networks/net/*",
		"results-closed":      "chmod 0700 /var/lib/cni/results",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settle(t, 2, "udp")
				s.run("/bin/sh", "-ec", "chmod 0600 /var/lib/cni/results/* /var/lib/cni/networks/net/*; "+hide)
				s.blind()
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
	for _, args := range [][]string{{"gc"}, {"gc", "--yes"}, {"repair"}, {"doctor", "--fix", "--yes", "--conf-dir", "/etc/cni/net.d"}, {"show", "c0"}} {
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
	if args[0] != "ls" {
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
