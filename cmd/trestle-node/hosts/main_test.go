// Package hosts has several hosts on a switch, each a network namespace with mounts of its own, in which the built plugins and agents run as on a machine,
// beside a real etcd. What it shows is that containers of one host answer those of another.
package hosts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/test/built"
)

// binVar is the folder with the programs, which the children that nstest starts find by it.
const binVar = "HOSTS_BIN"

func TestMain(m *testing.M) {
	if os.Getenv(binVar) != "" {
		os.Exit(m.Run())
	}
	os.Exit(built.Run(m, "hosts", prepare))
}

// prepare builds the agent here, and the plugins in the product's module.
func prepare(dir string) error {
	os.Setenv(binVar, dir)
	for _, args := range [][]string{
		{"go", "build", "-o", dir + "/", ".."},
		{"go", "-C", "../../..", "build", "-o", dir + "/", "./cmd/trestle", "github.com/containernetworking/cni/cnitool", "./test/demo/peer"},
		{filepath.Join(dir, "trestle"), "install", "--bin-dir", dir},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return nil
}
