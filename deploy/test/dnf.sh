# README's lines for Fedora and what descends from it, by dnf and a repository made here: in, an upgrade and the way from it, and back; beside the
# reference's package, and in its place where another package wants it.
. /run/test/library.sh
download
mkdir -p /srv/repository /etc/yum.repos.d
cp "$rpm" /run/tools/later/trestle-*.rpm /srv/repository/
printf '[local]\nname=local\nbaseurl=file:///srv/repository\ngpgcheck=0\n' >/etc/yum.repos.d/local.repo

# packaged makes a package of somebody else's: name, version, a line of its description, a plugin's text.
packaged() {
	cat >/tmp/spec <<-END
		Name: $1
		Version: $2
		Release: 1
		Summary: of a test
		License: none
		BuildArch: noarch
		$3
		%description
		of a test
		%install
		mkdir -p %{buildroot}/usr/libexec/cni
		echo "$1 $2" >%{buildroot}/usr/libexec/cni/${4:-of-$1}
		%files
		/usr/libexec/cni/*
	END
	quiet rpmbuild -bb --define '_topdir /tmp/rpm' --define '_rpmdir /srv/repository' --define '_build_name_fmt %%{NAME}-%%{VERSION}.rpm' /tmp/spec
}
packaged containernetworking-plugins 1.9.0 '' bridge
packaged containernetworking-plugins 1.9.1 '' bridge
packaged podman 5.0 'Requires: containernetworking-plugins >= 1.1'
quiet createrepo_c /srv/repository

# dnf as somebody calls it who says yes.
say_yes() { yes | quiet sh -c "$*"; }
version() { rpm --query --queryformat '%{VERSION}' "$1"; }
mine=/usr/libexec/cni

say_yes "$(line README.md 'dnf install ')"
called $mine /opt/cni/bin
say_yes dnf install podman # which is content with ours
fails 'not installed' rpm --query containernetworking-plugins
first=$(version trestle)
say_yes dnf upgrade trestle
same 9.9.9 "$(version trestle)"
called $mine /opt/cni/bin
say_yes dnf downgrade trestle
same "$first" "$(version trestle)"
say_yes dnf reinstall trestle
called $mine /opt/cni/bin
say_yes dnf remove podman
say_yes "$(line README.md 'dnf remove ')"
same '' "$(find $mine /opt/cni -type f 2>/tmp/none)"

# Theirs first, which goes on meanwhile: rpm knows no diversions, so its upgrade takes the name, until ours is put in its place again.
say_yes dnf install containernetworking-plugins-1.9.0
say_yes "$(line README.md 'dnf install ')"
cmp /usr/bin/trestle $mine/bridge
say_yes dnf upgrade containernetworking-plugins
quiet sh -c "$(line deploy/README.md 'trestle install --replace --bin-dir')"
cmp /usr/bin/trestle $mine/bridge
say_yes "$(line README.md 'dnf remove ')"
same 'containernetworking-plugins 1.9.1' "$(cat $mine/bridge)"
quiet rpm --verify containernetworking-plugins

# Its removal takes the name along, and the same line brings it back.
say_yes "$(line README.md 'dnf install ')"
say_yes dnf remove containernetworking-plugins
[ ! -e $mine/bridge ]
quiet sh -c "$(line deploy/README.md 'trestle install --replace --bin-dir')"
called $mine /opt/cni/bin
