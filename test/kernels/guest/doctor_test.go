//go:build kernels

package guest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestDoctorTellsTheKernel asks that `trestle doctor` tells what this kernel has not, each thing once, and what it costs; and nothing of what it has.
func TestDoctorTellsTheKernel(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		out, err := exec.Command(filepath.Join(os.Getenv(built.Outside), "cmd/trestle"), "doctor", "--json").Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out) // a note is no failure
		}
		var answer struct {
			Findings []struct{ ID, What, Why string }
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var told []string
		for _, f := range answer.Findings {
			if f.ID == "kernel-age" && f.Why != "" {
				told = append(told, strings.TrimPrefix(f.What, "it has no "))
			}
		}
		want := []string{"handles of namespaces"}
		if !nstest.Since(t, 6, 12) {
			want = append(want, "a new expiry for elements of nf_tables", "numbers of mount namespaces", "extended attributes of users on tmpfs")
		}
		if !nstest.Since(t, 6, 7) {
			want = append(want, "pairs of the kind netkit")
		}
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("it has no %q, want %q\n%s", told, want, out)
		}
	})
}
