# The rpm, by Debian's rpm: its files are there as it lists them, somebody else's plugin is kept, and comes back.
. /run/test/library.sh
mkdir -p /opt/cni/bin
echo theirs >/opt/cni/bin/bridge
quiet rpm --install --nodeps --dbpath /var/lib/rpm-test "$rpm"
quiet rpm --verify --nodeps --dbpath /var/lib/rpm-test trestle
for file in $(rpm --query --list --dbpath /var/lib/rpm-test trestle); do
	[ -e "$file" ] || { echo "listed, and not there: $file" >&2; exit 1; }
done
cmp /usr/bin/trestle /opt/cni/bin/bridge
cmp /usr/bin/trestle /usr/libexec/cni/bridge
quiet rpm --upgrade --replacepkgs --nodeps --dbpath /var/lib/rpm-test "$rpm"
cmp /usr/bin/trestle /opt/cni/bin/bridge
quiet rpm --erase --dbpath /var/lib/rpm-test trestle
same theirs "$(cat /opt/cni/bin/bridge)"
same '/opt/cni/bin/bridge' "$(find /opt/cni /usr/libexec/cni -type f)"
