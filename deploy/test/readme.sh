# README's first screen, a line each as it stands there, by somebody who has just downloaded a release; and what docs/node.md says for a machine without a
# package. What a cluster is told is tried by kubernetes/ways.sh, and Fedora's lines by dnf.sh.
. /run/test/library.sh
download
before=$(tree)

# as_asked runs a line of a page, and says yes to what it asks.
as_asked() { yes | quiet sh -c "$(line "$@")"; }

as_asked README.md 'apt install ./trestle_'
called /usr/lib/cni /opt/cni/bin
as_asked README.md 'apt remove '
same "$before" "$(tree)"

as_asked README.md 'tar xzf trestle-linux-'
called /opt/cni/bin
/opt/cni/bin/trestle version | grep -q "^trestle $(ls | sed -n 's/^trestle-linux-amd64-\(.*\)\.tgz$/\1/p') "
as_asked README.md '/opt/cni/bin/trestle uninstall'
same '' "$(ls -A /opt/cni/bin)"

# For Debian's containerd, whose directory is there already, with the reference in it or without.
apt containernetworking-plugins
before=$(tree)
as_asked docs/node.md 'tar xzf trestle-linux-'
as_asked docs/node.md './trestle install '
called /usr/lib/cni
cmp trestle /usr/lib/cni/bridge
quiet /usr/lib/cni/trestle uninstall "$(line README.md '--bin-dir=')"
same "$before" "$(tree)"

# The archive in the place of the reference's: the members have its names, and unpack as its do.
archive=$(line README.md 'cni-plugins-linux-')
tar -C /opt/cni/bin -xzf "$archive"
called /opt/cni/bin
for name in $(find /usr/lib/cni -type f -printf '%f\n'); do
	test -x "/opt/cni/bin/$name"
done
