# Plugins of another architecture under an emulator (/run/tools/ARCH): one gives an address away and takes it back, in the same books. The emulator does
# not translate how a program asks what kind a namespace is (NS_GET_NSTYPE), so that is as far as an ADD gets there; a plugin that wants
# one says so, and changes nothing.
. /run/test/library.sh

# call asks a plugin of another architecture.
call() {
	CNI_COMMAND=$1 CNI_CONTAINERID=c CNI_NETNS=/run/netns/c CNI_IFNAME=eth0 CNI_PATH=/tmp "$emulator" "/tmp/$arch/$2"
}

ip netns add c
for emulator in /run/tools/*; do
	arch=$(basename "$emulator")
	mkdir "/tmp/$arch"
	tar -C "/tmp/$arch" -xzf /run/release/cni-plugins-linux-"$arch"-*.tgz
	config='{"cniVersion":"1.1.0","name":"f","ipam":{"type":"host-local","ranges":[[{"subnet":"10.9.0.0/24"}]]}}'
	echo "$config" | call ADD host-local | grep -q '"10\.9\.0\.[0-9]*/24"'
	echo "$config" | quiet call CHECK host-local
	find /var/lib/cni/networks/f -name '10.9.*' | grep -q .
	echo "$config" | quiet call DEL host-local
	same '' "$(find /var/lib/cni/networks/f -name '10.9.*')"
	echo '{"cniVersion":"1.1.0","name":"l","type":"loopback"}' | fails 'not a network namespace' call ADD loopback
done
