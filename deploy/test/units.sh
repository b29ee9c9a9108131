# The package's units, all of them: on where presets say so, restarted by an upgrade, off and stopped when it goes. What systemd is told is written down.
. /run/test/library.sh
mkdir -p /run/systemd/system
printf '#!/bin/sh\necho "$@" >>/tmp/told\n' >/usr/bin/systemctl
chmod +x /usr/bin/systemctl
apt "$deb"
units=$(dpkg --listfiles trestle | sed -n 's,^/usr/lib/systemd/system/,,p' | tr '\n' ' ')
units=${units% }
for unit in $units; do # each runs what is there
	for program in $(sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "/usr/lib/systemd/system/$unit"); do test -x "$program"; done
done
quiet dpkg --install "$deb"
quiet dpkg --purge trestle
same "preset $units
daemon-reload
try-restart $units
daemon-reload
try-restart $units
disable $units
stop $units" "$(cat /tmp/told)"
