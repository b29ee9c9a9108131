package ipam

import (
	"os"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/places"
)

// DefaultDir is where the reference keeps its reservations, and we where the configuration names no other place.
const DefaultDir = "/var/lib/cni/networks"

// run is where what need not outlive a boot is, the owners' locks among it.
const run = places.Run

func reserved() places.Kind {
	return places.Kind{Name: "reservations", Default: DefaultDir, There: func(dir, network string) bool {
		_, err := os.Lstat(filepath.Join(dir, network))
		return err == nil
	}}
}

// Dirs are the data directories in which a network's reservations may be, whatever its configuration says today: the one that it names, the default,
// and those that it named when an address was reserved.
func Dirs(network, named string) []string { return reserved().Dirs(network, named) }

// Remember writes down that the network has reservations below dataDir.
func Remember(dataDir, network string) { reserved().Remember(dataDir, network) }

// Places are the data directories of all networks, as far as they are remembered.
func Places() []string { return reserved().All() }
