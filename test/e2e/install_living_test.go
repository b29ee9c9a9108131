package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/space"
)

// TestUninstallRefusesWithoutAnEnd: a container without another end on the host, and without rules there, is one that nobody could delete without the plugins, too.
func TestUninstallRefusesWithoutAnEnd(t *testing.T) {
	kinds := []string{macvlans, devices}
	if space.Tun() {
		kinds = append(kinds, taps)
	}
	uninstallRefuses(t, kinds...)
}

func uninstallRefuses(t *testing.T, kinds ...string) {
	for _, kind := range kinds {
		t.Run(kindName(kind), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				dir := t.TempDir()
				must(t, os.Mkdir(dir+"/bin", 0o755))
				operate(t, "install", dir+"/bin")
				shell(t, refusesWithoutAnEnd, kind, reference.Newest.Dir, dir)
			})
		})
	}
}

// As root of the host, and as the DaemonSet's container is: among no processes but its own, with no right but to ask the packet filter, and with no files but those that are mounted.
// Dead ones hold up nobody, nor does what the reference made, of which root sees that it bears no mark of ours.
const refusesWithoutAnEnd = `mkdir -p /run/net.d /run/cni $3/at; export dir=$3 CNI_PATH=$3/bin; ip netns add one; ip netns add two; ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up
echo '{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": '"$1"', "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}]}' > /run/net.d/n.conflist
pod() { unshare --pid --fork --mount sh -ec 'mount -t proc proc /proc; mount --bind /run/cni $dir/at; mount -t tmpfs tmpfs /run; mkdir /run/cni; mount --move $dir/at /run/cni
	exec setpriv --bounding-set=-all,+net_admin --inh-caps=-all "$@"' sh "$@"; }
uninstall="$dir/bin/trestle uninstall --bin-dir $dir/bin"
uninstalled() { "$@" $uninstall; [ -z "$(ls $dir/bin)" ]; cp $dir/kept/* $dir/bin; }
refused() { if out=$("$@" 2>&1); then echo "not refused: $*: $out"; exit 1; fi; case "$out" in *"1 attachments are of these plugins, as n/"*"/eth0"*) ;; *) echo "$*: $out"; exit 1; esac; }
cp -r $dir/bin $dir/kept; cnitool add n /run/netns/one; refused $uninstall; refused pod $uninstall
cnitool del n /run/netns/one; uninstalled pod
cnitool add n /run/netns/one; ip netns del one; uninstalled env
ip link show up1 || ip link add up0 type veth peer name up1; ip link set up0 up # a pair goes with either end
CNI_PATH=$2 cnitool add n /run/netns/two; uninstalled env`
