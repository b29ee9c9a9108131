package nstest

import (
	"net"
	"os"
	"testing"
)

func TestRunIsAlone(t *testing.T) {
	Run(t, func(t *testing.T) {
		links, err := net.Interfaces()
		Must(t, err)
		if len(links) != 1 || links[0].Name != "lo" || links[0].Flags&net.FlagUp == 0 {
			t.Errorf("interfaces of a fresh host: %v, want lo alone, up", links)
		}
		entries, err := os.ReadDir("/var/lib")
		Must(t, err)
		if len(entries) != 0 {
			t.Errorf("/var/lib of a fresh host holds %v", entries)
		}
	})
}

func TestSubtests(t *testing.T) {
	for _, name := range []string{"one", "two (2)"} {
		t.Run(name, func(t *testing.T) {
			Run(t, func(t *testing.T) {
				path := Namespace(t, "c1")
				err := In(path, func() error {
					_, err := net.InterfaceByName("lo")
					return err
				})
				Must(t, err)
				Remove(t, path)
			})
		})
	}
}
