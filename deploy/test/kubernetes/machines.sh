# docs/cluster.md, "Three machines", as it stands: its two files, its calls, an etcd on each of the three, with certificates. One machine has podman, one nerdctl,
# the third both, and the containers of all answer each other and the outside; then one etcd is gone, then all, and containers come as before.
. /run/test/kubernetes/machine
machine
apt "$deb" podman conmon runc containerd etcd-server etcd-client openssl
work=/tmp/three
mkdir -p $work/etcd

# The network: a switch, three machines and an outside.
ip link del eth0
ip link add sw0 type bridge
ip link set sw0 up
plug() {
	ip link add "$1" master sw0 type veth peer name eth0 netns "$1"
	ip link set "$1" up
	ip -n "$1" addr add "192.0.2.$2/24" dev eth0
	ip -n "$1" link set eth0 up
	ip -n "$1" link set lo up
}
plug outside 100

# An authority, and one certificate, of a server and a client, for all.
cd $work/etcd
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
# shellcheck disable=SC2086 # words
quiet openssl req -x509 $key -keyout ca.key -out ca.crt -subj /CN=ca -days 2
# shellcheck disable=SC2086
quiet openssl req $key -keyout node.key -out node.csr -subj /CN=node
printf 'subjectAltName=IP:192.0.2.1,IP:192.0.2.2,IP:192.0.2.3\nextendedKeyUsage=serverAuth,clientAuth\n' >extensions
quiet openssl x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out node.crt -days 2 -extfile extensions

# What the page has: two files, and what is called then.
awk '/^## /{on = $0 == "## Three machines"} on' /run/docs/cluster.md >$work/page
awk -v to=$work/file '/^```json/{n += 1; block = 1; next} /^```/{block = 0} block {print >(to n)}' $work/page
awk '/^```text/{block = 1; next} /^```/{block = 0} block {sub(/   .*/, ""); print}' $work/page >$work/calls
same 'trestle-node init
systemctl enable --now trestle-node
nerdctl run --network pods ...' "$(cat $work/calls)"
tar -C $work -xzf /run/release/trestle-node-linux-*.tgz
install $work/trestle-node /run/tools/nerdctl $kubernetes/
install -m 644 $work/trestle-node.service /usr/lib/systemd/system/
mkdir -p /etc/nerdctl
printf 'cgroup_manager = "cgroupfs"\n' >/etc/nerdctl/nerdctl.toml

# A machine has files of its own where its programs write, what the page says, an etcd and a containerd.
cat >$work/machine <<'END'
work=/tmp/three
hostname "m$1"
for dir in /dev/shm /etc/cni /run/cni /run/containerd /run/containers /run/libpod /run/lock /run/log /run/netns /run/runc /run/nerdctl /var/lib/cni /var/lib/containerd /var/lib/containers /var/lib/etcd /var/lib/nerdctl; do
	mkdir -p $dir
	mount -t tmpfs tmpfs $dir
done
mkdir /etc/cni/net.d
cp -r $work/etcd /etc/cni/
sed "s/\"via\": .*/\"via\": [\"192.0.2.$1\"],/" $work/file1 >/etc/cni/trestle-node.json
cp $work/file2 /etc/cni/net.d/50-pods.conflist
certificate='--cert-file=/etc/cni/etcd/node.crt --key-file=/etc/cni/etcd/node.key --trusted-ca-file=/etc/cni/etcd/ca.crt --client-cert-auth'
etcd --name="m$1" --data-dir=/var/lib/etcd/data --initial-cluster=m1=https://192.0.2.1:2380,m2=https://192.0.2.2:2380,m3=https://192.0.2.3:2380 \
	--listen-peer-urls="https://192.0.2.$1:2380" --initial-advertise-peer-urls="https://192.0.2.$1:2380" \
	--listen-client-urls="https://192.0.2.$1:2379" --advertise-client-urls="https://192.0.2.$1:2379" \
	$certificate $(echo "$certificate" | sed 's/--\([a-z]\)/--peer-\1/g') >/run/log/etcd 2>&1 &
echo $! >"$work/etcd$1"
containerd >/run/log/containerd 2>&1 &
echo $$ >"$work/pid$1"
exec sleep infinity
END
# on runs a command on a machine.
on() {
	target=$(cat "$work/pid$1")
	shift
	nsenter --target "$target" --net --mount --uts "$@"
}
for n in 1 2 3; do
	ip netns add m$n
	plug m$n $n
	nsenter --net=/run/netns/m$n unshare --mount --uts sh -eu $work/machine $n >$work/said$n 2>&1 &
	within 10 test -s $work/pid$n
done

within 60 on 1 trestle-node init
for n in 1 2 3; do
	on $n systemctl enable --now trestle-node
	within 30 on $n grep -q subnet /run/cni/blocks/pods.json
done

# The image, for both runtimes.
on 1 sh -eu -c '. /run/test/library.sh && containers'
on 3 sh -eu -c '. /run/test/library.sh && containers'
for n in 2 3; do
	within 60 on $n ctr version
	load="on $n ctr --namespace default images import -"
	packed docker.io/library/web:1 /bin/busybox httpd -f -h /www
done
# podman and nerdctl run a container on a machine under a name, and publish its port 80. Its program says its name.
run() {
	quiet on "$1" "$2" run --detach --cgroup-parent "/$GROUP/$3" --name "$3" --network pods --publish "$4:80" web:1 \
		/bin/busybox sh -c "/bin/busybox mkdir -p /w && echo $3 >/w/index.html && exec /bin/busybox httpd -f -h /w"
	echo "$* $(on "$1" "$2" inspect --format '{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$3")" >>$work/all
}
# asks wants a name from an address, with what is to be asked with in front.
asks() {
	wanted=$1 address=$2
	shift 2
	within 20 "$@" curl --silent --show-error --fail --max-time 5 "http://$address/"
	same "$wanted" "$(cat /tmp/said)"
}
# mesh holds that each container is answered by each, and the outside by each through its machine's port.
mesh() {
	while read -r n _ name port pid _; do
		while read -r _ _ to _ _ address; do
			asks "$to" "$address" nsenter --target "$pid" --net
		done <$work/all
		asks "$name" "192.0.2.$n:$port" ip netns exec outside
	done <$work/all
}
run 1 podman one 8080
run 2 nerdctl two 8080
run 3 podman three 8080
run 3 nerdctl four 8081
mesh
same 4 "$(cut -d ' ' -f 6 $work/all | grep '^10\.' | sort -u | wc -l)"

# A backup, by the line of the page.
# shellcheck disable=SC2046 # words
quiet on 1 env ETCDCTL_API=3 ETCDCTL_CACERT=/etc/cni/etcd/ca.crt ETCDCTL_CERT=/etc/cni/etcd/node.crt ETCDCTL_KEY=/etc/cni/etcd/node.key \
	ETCDCTL_ENDPOINTS=https://192.0.2.1:2379 $(line docs/cluster.md 'etcdctl snapshot save') $work/backup
quiet env ETCDCTL_API=3 etcdctl snapshot status $work/backup

# A member is gone, and the others answer for it; then all are, and nobody asks.
kill -9 "$(cat $work/etcd2)"
within 30 on 2 trestle-node list
grep -q m3 /tmp/said
run 2 nerdctl five 8082
kill -9 "$(cat $work/etcd1)" "$(cat $work/etcd3)"
run 1 podman six 8083
run 2 nerdctl seven 8084
mesh

# Nothing of them is left.
while read -r n runtime name _; do
	quiet on "$n" "$runtime" rm --force "$name"
done <$work/all
for n in 1 2 3; do
	same '' "$(on $n find /var/lib/cni/networks/pods -name '10.*')"
	same '' "$(on $n nft list ruleset | grep -e '10\.64\.[0-9.]* ' -e '808[0-9]')"
done
