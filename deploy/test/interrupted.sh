# dpkg, and what it starts, is killed in the middle of it, each time later: unpacking, diverting, putting plugins in place, configuring. A plugin is there at
# any time; and what comes next, the same again or the removal, ends as if nobody had been killed.
. /run/test/library.sh
apt containernetworking-plugins
before=$(tree)

# killed runs dpkg, and has whoever makes such a call for the N-th time die at it. It says whether all lived.
killed() {
	call=$1 n=$2
	shift 2
	strace -f -qq -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" dpkg "$@" >/tmp/dpkg 2>&1
}

# all_ours wants every name to be ours, and none of an installation's steps to be left.
all_ours() {
	called /usr/lib/cni /opt/cni/bin
	cmp /usr/lib/cni/trestle /usr/lib/cni/bridge
	same '' "$(find /usr/lib/cni /opt/cni/bin -name '.trestle-next*')"
}

# torn says whether a package's files are there in part: dpkg wants it installed again then, before anything else.
torn() { dpkg-query --show --showformat '${db:Status-Eflag}' trestle 2>/tmp/none | grep -q reinstreq; }

kills=0
for action in install again remove; do
	for call in rename renameat; do
		n=1 lived=
		while [ -z "$lived" ]; do
			[ $action = install ] || quiet dpkg --install "$deb"
			case $action in
			remove) killed $call $n --remove trestle && lived=yes ;;
			*) killed $call $n --install "$deb" && lived=yes ;;
			esac
			called /usr/lib/cni
			if [ $((kills % 2)) = 0 ] || torn; then
				quiet dpkg --install "$deb"
				all_ours
			fi
			quiet dpkg --purge trestle
			called /usr/lib/cni
			same "$before" "$(tree)"
			quiet dpkg --verify containernetworking-plugins
			kills=$((kills + 1)) n=$((n * 3))
		done
	done
done
echo "killed $kills times"
