# The image puts the plugins in place the way the DaemonSet runs it: as root without any capability, its own files read-only. Otherwise it is nobody.
. /run/test/library.sh
apt containernetworking-plugins podman runc
containers
download
quiet sh -c "$(line deploy/README.md 'podman load')"
image=$(podman images --quiet --filter reference='*/trestle')

# run runs the image's program in the host's network, which is there before any plugin is.
run() { podman run --rm --cgroup-parent "/$GROUP" --network host --read-only --volume /opt/cni/bin:/host/bin "$@"; }

mkdir -p /opt/cni/bin
cp /usr/lib/cni/bridge /opt/cni/bin/
fails 'permission denied' run "$image" install --replace --bin-dir=/host/bin
cmp /usr/lib/cni/bridge /opt/cni/bin/bridge
as_root='--user 0 --cap-drop all --security-opt no-new-privileges'
# shellcheck disable=SC2086 # four words
quiet run $as_root "$image" install --replace --bin-dir=/host/bin
same trestle "$(/opt/cni/bin/trestle version | head -n 1 | cut -d ' ' -f 1)"

# Once more, over one that was ended in the middle of it, while a program of ours runs; and where it cannot, which leaves what is there.
/opt/cni/bin/dhcp daemon -socketpath /tmp/dhcp.sock >/tmp/daemon 2>&1 &
daemon=$!
for name in .trestle-next .trestle-next-bridge; do head -c 1000000 /opt/cni/bin/trestle >/opt/cni/bin/$name; done
quiet run $as_root "$image" install --replace --bin-dir=/host/bin
same '' "$(find /opt/cni/bin -name '.trestle-next*')"
called /opt/cni/bin
kill $daemon
before=$(find /opt/cni/bin -type f -exec sha256sum {} + | sort)
fails 'read-only file system' run $as_root --volume /opt/cni/bin:/read-only:ro "$image" install --replace --bin-dir=/read-only
fails 'no space left on device' run $as_root --mount type=tmpfs,destination=/full,tmpfs-size=4m "$image" install --replace --bin-dir=/full
same "$before" "$(find /opt/cni/bin -type f -exec sha256sum {} + | sort)"
cmp /opt/cni/bin/trestle /opt/cni/bin/bridge
# shellcheck disable=SC2086
quiet run $as_root --cap-add NET_ADMIN "$image" uninstall --bin-dir=/host/bin
cmp /usr/lib/cni/bridge /opt/cni/bin/bridge
same /opt/cni/bin/bridge "$(find /opt/cni/bin -type f)"
# The agent is in it, too, and complains of a file that is not there.
fails 'configuration: open /etc/cni/trestle-node.json: no such file' run --entrypoint /trestle-node "$image" run
