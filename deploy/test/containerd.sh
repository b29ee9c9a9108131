# containerd alone: what docs/node.md has before Kubernetes, step by step; a container that answers; and the image, unpacked and run by containerd
# the way the DaemonSet's init container is.
. /run/test/kubernetes/machine
machine
page 'The plugins'
page 'The runtime and its network'
images
download
quiet sh -c "$(line deploy/README.md 'ctr -n k8s.io images import')"

# run runs a container in the foreground, as ctr has it.
run() { ctr --namespace k8s.io run --rm --runc-binary /usr/local/sbin/runc --cgroup "/$GROUP/$NAME" "$@"; }

NAME=web run --cni docker.io/library/busybox:1.36 web sh -c 'echo answer >/tmp/index.html && exec httpd -f -h /tmp' >/tmp/web 2>&1 &
within 60 sh -c 'trestle ls | grep -q 10.85.0'
address=$(trestle ls | grep -o '10\.85\.0\.[0-9]*' | head -n 1)
same answer "$(curl --silent --show-error --max-time 5 --retry 20 --retry-delay 1 --retry-connrefused "http://$address/")"
quiet ctr --namespace k8s.io task kill --signal SIGKILL web
wait $! || true
same '' "$(nft list ruleset | grep '10\.85\.0\.[2-9]')"
same '' "$(find /var/lib/cni -name '10.85.*')"

mkdir -p /srv/bin
echo theirs >/srv/bin/bridge
chown -R 65532 /srv/bin # who runs the image's program, where nothing says otherwise: ctr cannot
NAME=install run --net-host --read-only --mount type=bind,src=/srv/bin,dst=/host/bin,options=rbind:rw \
	"ghcr.io/trestle-cni/trestle:v$(dpkg-query --show --showformat '${Version}' trestle | sed 's/-1$//')" install /trestle install --replace --bin-dir=/host/bin >/tmp/said
grep -q 'kept in /host/bin/.trestle-replaced: bridge' /tmp/said
cmp /usr/bin/trestle /srv/bin/bridge
