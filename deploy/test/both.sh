# Debian's containernetworking-plugins and Kubernetes' kubernetes-cni, before and after ours, upgraded meanwhile, and removed in any order: each name is there
# as long as somebody has it, what dpkg says of their files holds, and no diversion is left.
. /run/test/library.sh
quiet apt-get install -qq -y --no-install-recommends --download-only containernetworking-plugins
theirs=$(ls /var/cache/apt/archives/containernetworking-plugins_*.deb)

# kubernetes_cni makes that package as Kubernetes' archive has it: the reference in /opt/cni/bin.
kubernetes_cni() {
	mkdir -p "/tmp/k/$1/DEBIAN" "/tmp/k/$1/opt/cni/bin"
	printf 'Package: kubernetes-cni\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: the reference\n' "$1" >"/tmp/k/$1/DEBIAN/control"
	dpkg-deb --fsys-tarfile "$theirs" | tar -x -C "/tmp/k/$1/opt/cni/bin" --strip-components 4 ./usr/lib/cni
	echo "$1" >"/tmp/k/$1/opt/cni/bin/of"
	(cd "/tmp/k/$1" && find opt -type f -exec md5sum {} + >DEBIAN/md5sums)
	quiet dpkg-deb -Znone --build "/tmp/k/$1" "/tmp/k/$1.deb"
}
kubernetes_cni 1.5.1-1.1
kubernetes_cni 1.9.1-1.1

# put installs one of the three, or a later version of it.
put() {
	case $1 in
	trestle) quiet dpkg --install "$deb" ;;
	containernetworking-plugins) quiet dpkg --install "$theirs" ;;
	*) quiet dpkg --install "/tmp/k/${2:-1.5.1-1.1}.deb" ;;
	esac
}

# there wants each folder's plugins as long as a package has them, and theirs to be as dpkg knows them.
there() {
	for package in $*; do
		case $package in
		trestle) called /usr/lib/cni /opt/cni/bin ;;
		containernetworking-plugins) called /usr/lib/cni && quiet dpkg --verify $package ;;
		*) called /opt/cni/bin && quiet dpkg --verify $package ;;
		esac
	done
}

before=$(tree)
c=containernetworking-plugins k=kubernetes-cni
for came in "trestle $c $k" "$c trestle $k" "$c $k trestle"; do
	for gone in "trestle $c $k" "$k trestle $c" "$c $k trestle"; do
		now=
		for package in $came; do
			put "$package"
			now="$now $package"
			there "$now"
		done
		cmp /usr/lib/cni/trestle /opt/cni/bin/bridge
		put $k 1.9.1-1.1 # theirs goes on
		put $c
		put trestle
		there "$now"
		cmp /usr/lib/cni/trestle /opt/cni/bin/bridge
		for package in $gone; do
			quiet dpkg --purge "$package"
			now=$(echo "$now" | sed "s/\\b$package\\b//")
			there "$now"
		done
		same "$before" "$(tree)"
	done
done
