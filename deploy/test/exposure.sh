# What pages say of a unit's exposure is what systemd says, and it has nothing against any of ours.
. /run/test/library.sh
apt systemd "$deb"
tar -C /usr/local/bin -xzf /run/release/trestle-node-linux-"$(dpkg --print-architecture)"-*.tgz ./trestle-node
tar -C /usr/lib/systemd/system -xzf /run/release/trestle-node-linux-"$(dpkg --print-architecture)"-*.tgz ./trestle-node.service
units="$(dpkg --listfiles trestle | sed -n 's,^/usr/lib/systemd/system/,,p') trestle-node.service"
# shellcheck disable=SC2086 # words
same '' "$(systemd-analyze verify --man=no $units 2>&1)"
exposure() { systemd-analyze security --offline=yes --no-pager "$1" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\) .*/\1/p'; }
same "$(sed -n 's/.*`systemd-analyze security`: \([0-9.]*\), .*/\1/p' /run/docs/watch.md)" "$(exposure trestle-watch.service)"
same "$(sed -n 's/.*`systemd-analyze security` says \([0-9.]*\)\.$/\1/p' /run/docs/cluster.md)" "$(exposure trestle-node.service)"
