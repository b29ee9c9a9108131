# What the scripts that run in a fresh Debian share.

deb=$(ls /run/release/trestle_*_"$(dpkg --print-architecture)".deb)
rpm=$(ls /run/release/trestle-*."$(uname -m)".rpm)

# quiet prints what a command said only where it failed.
quiet() {
	"$@" >/tmp/said 2>&1 && return
	cat /tmp/said >&2
	echo "failed: $*" >&2
	exit 1
}

# fails wants a command to fail, and to have said something.
fails() {
	wanted=$1
	shift
	if "$@" >/tmp/said 2>&1; then
		echo "went well, and should have failed: $*" >&2
		exit 1
	fi
	grep -q -e "$wanted" /tmp/said || {
		cat /tmp/said >&2
		echo "did not say: $wanted" >&2
		exit 1
	}
}

# same compares two texts.
same() {
	[ "$1" = "$2" ] && return
	printf '%s\n' "$1" >/tmp/expected
	printf '%s\n' "$2" | diff -u /tmp/expected - >&2
	exit 1
}

# apt installs from what was downloaded.
apt() { quiet apt-get install -qq -y --no-install-recommends "$@"; }

# line is the one command line of a page, or part of one, that begins so: what is tried is what stands there.
line() {
	{
		grep -o '`[^`]*`' "/run/tree/$1" | tr -d '`'
		sed -n '/^```/,/^```/{s/   .*//;p}' "/run/tree/$1"
	} | awk -v with="$2" 'index($0, with) == 1' | sort -u >/tmp/lines
	[ "$(wc -l </tmp/lines)" = 1 ] || {
		echo "$1: command lines that begin with: $2" >&2
		cat /tmp/lines >&2
		exit 1
	}
	cat /tmp/lines
}

# download is a folder with the release's files, as somebody has it who has just fetched them.
download() {
	mkdir -p /tmp/download
	ln -sf /run/release/* /tmp/download/
	cd /tmp/download
}

# called wants a plugin in each of these folders to say its versions.
called() {
	for dir; do
		for name in bridge host-local portmap; do
			CNI_COMMAND=VERSION "$dir/$name" </dev/null | grep -q '"supportedVersions"' || {
				echo "no plugin: $dir/$name" >&2
				exit 1
			}
		done
	done
}

# tree writes down the plugins' folders, who dpkg says has them, and what is diverted.
tree() {
	for dir in /usr/lib/cni /opt/cni; do
		[ ! -d $dir ] || find $dir -exec sha256sum {} + 2>/dev/null | sort -k 2
	done
	find / -xdev -name '*trestle*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' -not -path '/run/*' | sort
	dpkg-divert --list '*cni*'
}

# host writes down what of the host containers share: links, rules, addresses reserved.
host() {
	ip -brief link | grep -v '^cni-podman0'
	nft list ruleset | sed 's/ handle .*//'
	find /var/lib/cni -type f 2>/dev/null | grep -v -e lock -e last_reserved || true
}

# containers tells podman of this machine: no systemd, control groups of both versions; and gives it an image, packed here, of busybox.
containers() {
	mkdir -p /etc/containers /tmp/image/bin /tmp/image/www
	cat >/etc/containers/containers.conf <<-EOF
		[containers]
		default_ulimits = []
		[network]
		network_backend = "cni"
		[engine]
		runtime = "runc"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
	EOF
	printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' >/etc/containers/storage.conf
	cp /bin/busybox /tmp/image/bin/
	echo answer >/tmp/image/www/index.html
	tar -C /tmp/image -c . | quiet podman import - web:1
}

# start runs a container that answers on a port, in podman's own network.
start() {
	quiet podman run --detach --cgroup-parent "/$GROUP" --name "$1" --publish "$2:80" web:1 /bin/busybox httpd -f -h /www
}

# answers asks the container from outside, until its program has begun to listen.
answers() {
	same answer "$(ip netns exec outside curl --silent --show-error --max-time 5 --retry 20 --retry-delay 1 --retry-connrefused "http://192.0.2.1:$1/")"
}
