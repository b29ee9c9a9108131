# A host with Debian's plugins and a container that they attached: it keeps its traffic when ours come, is deleted clean by ours, and when ours go
# all is as before. At no moment is a plugin missing.
. /run/test/library.sh
apt containernetworking-plugins podman runc
containers
before=$(tree)
start old 8081
answers 8081

# calls asks a plugin for its version, over and over, for as long as a file is there.
calls() {
	while [ -e /tmp/calling ]; do
		CNI_COMMAND=VERSION /usr/lib/cni/bridge </dev/null >/tmp/version || echo "no plugin" >>/tmp/missing
	done
}
touch /tmp/calling
calls 2>>/tmp/missing &
caller=$!
apt "$deb"
quiet dpkg --install "$deb"                                                # once more: as an upgrade to itself
quiet dpkg --install /var/cache/apt/archives/containernetworking-plugins_* # an upgrade of theirs goes aside
same trestle "$(CNI_COMMAND='' /usr/lib/cni/trestle version | head -n 1 | cut -d ' ' -f 1)"
cmp /usr/lib/cni/trestle /usr/lib/cni/bridge
cmp /usr/lib/cni/trestle /opt/cni/bin/bridge
[ -e /usr/lib/cni/.trestle-replaced/bridge ]

answers 8081
start new 8082
answers 8082

# A later version, which has a plugin more, and the way back from it.
dpkg-deb --raw-extract "$deb" /tmp/later
sed -i 's/^Version: .*/Version: 9.9.9-1/' /tmp/later/DEBIAN/control
cat >>/tmp/later/DEBIAN/postinst <<-'END'
	for dir in /usr/lib/cni /opt/cni/bin; do
		dpkg-divert --quiet --package trestle --no-rename --divert $dir/.trestle-replaced/later --add $dir/later
		ln -f $dir/trestle $dir/later
	done
END
quiet dpkg-deb --build /tmp/later /tmp/later.deb
quiet dpkg --install /tmp/later.deb
answers 8081
answers 8082
quiet dpkg --install "$deb"
answers 8081
answers 8082
answers 8081
quiet podman rm --force --time 1 old
answers 8082
fails 'attachments are of these plugins' dpkg --remove trestle
cmp /usr/lib/cni/trestle /usr/lib/cni/bridge
answers 8082
quiet podman rm --force --time 1 new

# What the reference makes for all containers together, it leaves for ever: its chains, its bridge. Of any one container nothing is left.
same '' "$(nft list ruleset | grep -e '10\.88\.0\.[2-9]' -e '808[0-9]')"
same '' "$(find /var/lib/cni -name '10.88.*')"
quiet dpkg --purge trestle
rm /tmp/calling
wait $caller
[ ! -s /tmp/missing ] || {
	sort /tmp/missing | uniq -c >&2
	exit 1
}
same "$before" "$(tree)"
quiet dpkg --verify containernetworking-plugins
start again 8083
answers 8083
quiet podman rm --force --time 1 again
