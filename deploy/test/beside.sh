# Ours first, then theirs: theirs go aside, and get their names when ours go.
. /run/test/library.sh
apt "$deb"
apt containernetworking-plugins
cmp /usr/lib/cni/trestle /usr/lib/cni/bridge
quiet dpkg --verify containernetworking-plugins
quiet dpkg --purge trestle
quiet dpkg --verify containernetworking-plugins
same '' "$(dpkg-divert --list '*cni*')"
[ ! -e /usr/lib/cni/trestle ] && [ ! -e /opt/cni ]
fails 'firewall\|0.3.1\|cniVersion\|environment\|CNI_' env CNI_COMMAND=ADD /usr/lib/cni/bridge </dev/null
