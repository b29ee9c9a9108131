package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestUsersOwn: who is root in a user namespace alone, as the tests are, has networks and names of namespaces where podman and nerdctl put them without root. The tool finds both, and
// what it removes is what is dead.
func TestUsersOwn(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) { shell(t, usersOwn, os.Getenv(pluginsVar)) })
}

const usersOwn = `ln -s "$1" /run/bin; export XDG_CONFIG_HOME=/run/home/.config XDG_RUNTIME_DIR=/run/user/1000 NETCONFPATH=/run/home/.config/cni/net.d
unset CNI_PATH; trestle() { "/run/bin/trestle" "$@"; }
mount -t tmpfs tmpfs /opt # which may be nobody's here
mkdir -p $NETCONFPATH $XDG_RUNTIME_DIR/netns /etc/cni/net.d /opt/cni
echo '{"cniVersion": "1.0.0", "name": "mine", "plugins": [{"type": "bridge", "bridge": "br0", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}]}' > $NETCONFPATH/87-mine.conflist
echo '{"cniVersion": "1.0.0", "name": "theirs", "plugins": [{"type": "dummy"}]}' > /etc/cni/net.d/10-theirs.conflist
named() { ip netns add $1; ip -n $1 link set lo up; : > $XDG_RUNTIME_DIR/netns/$1; mount --bind /run/netns/$1 $XDG_RUNTIME_DIR/netns/$1; umount /run/netns/$1; rm /run/netns/$1; }
for c in netns-one netns-two; do named $c; CNI_PATH=/run/bin cnitool add mine $XDG_RUNTIME_DIR/netns/$c > /dev/null; done
trestle show mine | grep -F /run/home/.config/cni/net.d/87-mine.conflist
! trestle show theirs
trestle ls | grep -c whole | grep -x 2
trestle trace netns-one netns-two
trestle doctor --bin-dir /run/bin
# A result that is lost: the namespace is found by its name.
rm $(grep -l netns-two -r /var/lib/cni/results); trestle gc --yes | grep "nothing to remove"
umount $XDG_RUNTIME_DIR/netns/netns-one; rm $XDG_RUNTIME_DIR/netns/netns-one
end=$(($(date +%s) + 60)); until trestle gc --yes | grep "removed attachment"; do [ $(date +%s) -lt $end ]; done
[ "$(ls /var/lib/cni/networks/mine | grep -c '^10')" = 1 ]
# Nobody else's: the files of the same place without a user namespace are names of nothing to him.
HOME=/run/home XDG_CONFIG_HOME= trestle show mine | grep -F 87-mine.conflist
rm -r /run/home/.config; trestle show theirs | grep -F /etc/cni/net.d/10-theirs.conflist`
