# Plugins of other architectures under emulators (/run/tools/emulators/ARCH): each gives an address away and takes it back, in the same books, which have the same bytes
# as those of this machine's own. The emulator does not translate how a program asks what kind a namespace is (NS_GET_NSTYPE), so that is as far as an ADD gets
# there; a plugin that wants one says so, and changes nothing.
. /run/test/library.sh
books=/var/lib/cni/networks
config='{"cniVersion":"1.1.0","name":"f","ipam":{"type":"host-local","ranges":[[{"subnet":"10.9.0.0/24"}],[{"subnet":"fd09::/64"}]]}}'

# call asks a plugin of an architecture; this machine's own has no emulator.
call() {
	of=$1 emulator=
	[ ! -e "/run/tools/emulators/$of" ] || emulator=/run/tools/emulators/$of
	# shellcheck disable=SC2086 # one word or none
	CNI_COMMAND=$2 CNI_CONTAINERID=c CNI_NETNS=/run/netns/c CNI_IFNAME=eth0 CNI_PATH=/tmp $emulator "/tmp/$of/$3"
}

# held are the files of the reservations.
held() { find $books/f -name '10.9.*' -o -name 'fd09*'; }

# written is all that an ADD has written, less what the clock decides: names, contents and attributes of files, and the index without its dates and their sum.
written() {
	(cd $books && find . -type f -not -path './.trestle/*' | LC_ALL=C sort | while read -r file; do
		echo "$file $(sha256sum <"$file")"
		tar --format=posix --xattrs --xattrs-include='*' --mtime=@0 --pax-option=delete=atime,delete=ctime,exthdr.name=%f -cf - "$file" | grep -a -o 'SCHILY.xattr.*' | sha256sum
	done)
	index=$books/.trestle/f
	{ head -c 24 $index; tail -c +81 $index | head -c 32; tail -c +4097 $index; } | sha256sum
}

# reserves has an architecture's host-local make an ADD in new books.
reserves() {
	rm -rf $books
	echo "$config" | call "$1" ADD host-local >/tmp/result
}

ip netns add c
own=$(dpkg --print-architecture)
for arch in "$own" $(ls /run/tools/emulators); do
	mkdir "/tmp/$arch"
	tar -C "/tmp/$arch" -xzf /run/release/cni-plugins-linux-"$arch"-*.tgz
done
reserves "$own"
result=$(cat /tmp/result) files=$(written)
for arch in $(ls /run/tools/emulators); do
	reserves "$arch"
	same "$result" "$(cat /tmp/result)"
	same "$files" "$(written)"
	echo "$config" | quiet call "$arch" CHECK host-local
	echo "$config" | quiet call "$arch" DEL host-local
	same '' "$(held)"
	reserves "$own" # and one takes back what another gave
	echo "$config" | quiet call "$arch" DEL host-local
	same '' "$(held)"
	echo '{"cniVersion":"1.1.0","name":"l","type":"loopback"}' | fails 'not a network namespace' call "$arch" ADD loopback
done
