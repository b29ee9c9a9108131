# Three containers on two networks, one on both; one is broken behind its back. A fourth died and left something. Beside them: what is
# made by hand, what the reference's plugins made, and a container without a network.
container web api db gone hand old idle
publish() { echo "{\"portMappings\": [{\"hostPort\": $1, \"containerPort\": 80, \"protocol\": \"tcp\"}]}"; }
CAP_ARGS=$(publish 8080) cnitool add ports /run/netns/web >/dev/null
CNI_IFNAME=eth1 cnitool add back /run/netns/web >/dev/null
cnitool add ports /run/netns/api >/dev/null
cnitool add back /run/netns/db >/dev/null
ip -n api link set eth0 down
CAP_ARGS=$(publish 8081) cnitool add ports /run/netns/gone >/dev/null
ip netns exec gone ip link delete eth0
ip netns delete gone
ip link add hand0 type bridge
ip address add 10.99.0.1/24 dev hand0
ip link set hand0 up
ip link add vhand type veth peer name eth0 netns hand
ip link set vhand master hand0 up
ip -n hand address add 10.99.0.2/24 dev eth0
ip -n hand link set eth0 up
mkdir /run/old
cat >/run/old/old.conflist <<'LIST'
{"cniVersion": "1.0.0", "name": "old", "plugins": [{"type": "bridge", "bridge": "old0", "isGateway": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]]}}]}
LIST
CNI_PATH=/usr/lib/cni NETCONFPATH=/run/old cnitool add old /run/netns/old >/dev/null
