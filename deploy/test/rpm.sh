# The rpm, by Debian's rpm: its files are there as it lists them, somebody else's plugin is kept, and comes back as they have it by then; another version
# before and after; and a system that does not run yet.
. /run/test/library.sh
later=$(ls /run/tools/later/trestle-*.rpm)
rpm() { command rpm --dbpath /var/lib/rpm-test "$@"; }
for file in /run/release/*.rpm; do # of any architecture: that is in its name
	same "$file" "${file%.*.rpm}.$(rpm --query --package --queryformat '%{ARCH}' "$file").rpm"
done
mkdir -p /opt/cni/bin
echo theirs >/opt/cni/bin/bridge
quiet rpm --install --nodeps "$rpm"
quiet rpm --verify --nodeps trestle
for file in $(rpm --query --list trestle); do
	[ -e "$file" ] || { echo "listed, and not there: $file" >&2; exit 1; }
done
cmp /usr/bin/trestle /opt/cni/bin/bridge
cmp /usr/bin/trestle /usr/libexec/cni/bridge
quiet rpm --upgrade --replacepkgs --nodeps "$rpm"
quiet rpm --upgrade --nodeps "$later"
called /opt/cni/bin /usr/libexec/cni
quiet rpm --upgrade --oldpackage --nodeps "$rpm"
same "$(rpm --query --queryformat '%{VERSION}' --package "$rpm")" "$(rpm --query --queryformat '%{VERSION}' trestle)"
called /opt/cni/bin /usr/libexec/cni
cmp /usr/bin/trestle /opt/cni/bin/bridge
echo 'theirs, upgraded' >/opt/cni/bin/bridge.new
mv /opt/cni/bin/bridge.new /opt/cni/bin/bridge
quiet rpm --upgrade --replacepkgs --nodeps "$rpm"
cmp /usr/bin/trestle /opt/cni/bin/bridge
quiet rpm --erase trestle
same 'theirs, upgraded' "$(cat /opt/cni/bin/bridge)"
same '/opt/cni/bin/bridge' "$(find /opt/cni /usr/libexec/cni -type f)"

# In a folder, as images of systems are built: no /proc, nothing but a shell.
root=/srv/system
mkdir -p $root/bin $root/usr/libexec/cni
for name in sh mkdir; do cp /bin/busybox $root/bin/$name; done
echo theirs >$root/usr/libexec/cni/bridge
within() { quiet command rpm --root $root "$@"; }
within --install --nodeps "$rpm"
cmp $root/usr/bin/trestle $root/usr/libexec/cni/bridge
within --verify --nodeps trestle
within --erase trestle
same theirs "$(cat $root/usr/libexec/cni/bridge)"
same '' "$(find $root -name '*trestle*' -not -path '*/var/*')"
