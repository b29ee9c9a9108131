# Two hundred containers on two networks.
for i in $(seq -w 120); do
	container "web-$i"
	cnitool add front "/run/netns/web-$i" >/dev/null
done
for i in $(seq -w 80); do
	container "job-$i"
	cnitool add back "/run/netns/job-$i" >/dev/null
done
ip -n web-007 link set eth0 down
