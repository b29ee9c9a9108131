# The plugins of another architecture attach a container, check it and delete it, and leave nothing, under an emulator (/run/tools/ARCH). An emulator
# translates what a program says to the kernel, and knows no nf_tables: so the network is one without rules.
. /run/test/library.sh
config='{"cniVersion":"1.1.0","name":"f","type":"bridge","bridge":"f0","isGateway":true,
	"ipam":{"type":"host-local","ranges":[[{"subnet":"10.9.0.0/24"}]]}%s}'

# call asks a plugin, which is started by its wrapper: the kernel by itself starts no program of another machine.
call() {
	printf '%s' "$3" | CNI_COMMAND=$1 CNI_CONTAINERID=c CNI_NETNS=/run/netns/c CNI_IFNAME=${4:-eth0} CNI_PATH=/tmp/bin /tmp/bin/"$2" >/tmp/result || {
		cat /tmp/result >&2
		echo "failed: $emulator $*" >&2
		exit 1
	}
}

mkdir /tmp/bin
for emulator in /run/tools/*; do
	arch=$(basename "$emulator")
	mkdir "/tmp/$arch"
	tar -C "/tmp/$arch" -xzf /run/release/cni-plugins-linux-"$arch"-*.tgz
	for plugin in bridge host-local loopback; do
		printf '#!/bin/sh\nexec %s /tmp/%s/%s "$@"\n' "$emulator" "$arch" "$plugin" >"/tmp/bin/$plugin"
		chmod +x "/tmp/bin/$plugin"
	done
	before=$(ip -brief link; find /var/lib/cni -name '10.*' 2>/dev/null) || true
	ip netns add c
	# shellcheck disable=SC2059 # a format
	plain=$(printf "$config" '')
	call ADD loopback '{"cniVersion":"1.1.0","name":"l","type":"loopback"}' lo
	call ADD bridge "$plain"
	ip netns exec c ping -c 1 -W 5 10.9.0.1 >/dev/null
	# shellcheck disable=SC2059
	call CHECK bridge "$(printf "$config" ",\"prevResult\":$(cat /tmp/result)")"
	call DEL bridge "$plain"
	ip netns delete c
	ip link delete f0
	same "$before" "$(ip -brief link; find /var/lib/cni -name '10.*' 2>/dev/null)"
done
