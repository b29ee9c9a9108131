# The image puts the plugins in place the way the DaemonSet runs it: as root without any capability, its own files read-only. Otherwise it is nobody.
. /run/test/library.sh
apt containernetworking-plugins podman runc
containers
quiet podman load --input /run/release/trestle-image-*.tar
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
cmp /opt/cni/bin/trestle /opt/cni/bin/bridge
# shellcheck disable=SC2086
quiet run $as_root --cap-add NET_ADMIN "$image" uninstall --bin-dir=/host/bin
cmp /usr/lib/cni/bridge /opt/cni/bin/bridge
same /opt/cni/bin/bridge "$(find /opt/cni/bin -type f)"
# The agent is in it, too, and complains of a file that is not there.
fails 'configuration: open /etc/cni/trestle-node.json: no such file' run --entrypoint /trestle-node "$image" run
