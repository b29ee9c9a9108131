package folder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// Who has a lease is known by the attachment, and which network has one by what is written down: another's is nobody's business.
func TestHas(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		write := func(file, text string) {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if HasOf("net") || Has("c1", "net", "eth0") {
			t.Error("a lease where nothing is written down")
		}
		write(File(Of(Socket), "c1", "net", "eth0"), `{"Network": "net", "ContainerID": "c1", "IfName": "eth0"}`)
		if !Has("c1", "net", "eth0") || Has("c1", "net", "eth1") || Has("c1", "other", "eth0") {
			t.Error("it is another's")
		}
		if !HasOf("net") || HasOf("other") {
			t.Error("it is of another network")
		}
		write(filepath.Join(Of(Socket), "torn.json"), `{"Netw`)
		if !HasOf("other") {
			t.Error("what cannot be read is nobody's")
		}
	})
}
