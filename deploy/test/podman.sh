# podman works with this package and no other: apt takes it for the plugins that podman wants, and a published port answers.
. /run/test/library.sh
apt "$deb" podman runc
for package in containernetworking-plugins netavark; do
	fails 'not installed\|no packages' dpkg --status $package
done
containers
before=$(host)
start web 8080
answers 8080
fails 'attachments are of these plugins' dpkg --remove --force-depends trestle
answers 8080
quiet podman rm --force --time 1 web
quiet dpkg --remove --force-depends trestle
same "$before" "$(host)"
same '' "$(tree)"
