# A host with an uplink; everything else is made by the scene.
set -e
export PATH=$PWD/.tools:$PATH CNI_PATH=$PWD/bin NETCONFPATH=$PWD/conf
mkdir -p /var/lib/cni
ip link set lo up
container() { for name; do ip netns add "$name"; ip -n "$name" link set lo up; done; }
container outside
ip link add uplink type veth peer name eth0 netns outside
ip address add 192.0.2.1/24 dev uplink
ip -n outside address add 192.0.2.2/24 dev eth0
ip link set uplink up
ip -n outside link set eth0 up
ip route add default via 192.0.2.2
