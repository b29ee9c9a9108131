# A healthy host: an uplink with a default route, a network of both families with two containers of which one publishes a port, and two of
# IPv4 alone, one of them without masquerade. $1 is the directory of the plugins.
set -e
mkdir -p /run/net.d /run/bin
for plugin in bridge host-local portmap; do ln -s "$1/$plugin" /run/bin/$plugin; done
for ns in outside one two four plain; do
	ip netns add $ns
	ip -n $ns link set lo up
done
for key in default all; do echo 0 > /proc/sys/net/ipv6/conf/$key/accept_dad; done
ip link add uplink type veth peer name eth0 netns outside
ip -n outside addr add 192.0.2.2/24 dev eth0
ip -n outside link set eth0 up
ip addr add 192.0.2.1/24 dev uplink
ip link set uplink up
ip route add default via 192.0.2.2
cat > /run/net.d/10-net.conflist <<-'END'
	{"cniVersion": "1.0.0", "name": "net", "plugins": [
	  {"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
	   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}},
	  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
cat > /run/net.d/20-four.conflist <<-'END'
	{"cniVersion": "1.0.0", "name": "four", "plugins": [
	  {"type": "bridge", "bridge": "cni4", "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.4.0.0/24"}}]}
END
cat > /run/net.d/30-plain.conflist <<-'END'
	{"cniVersion": "1.0.0", "name": "plain", "plugins": [
	  {"type": "bridge", "bridge": "cni5", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.5.0.0/24"}}]}
END
CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}' cnitool add net /run/netns/one > /dev/null
cnitool add net /run/netns/two > /dev/null
cnitool add four /run/netns/four > /dev/null
cnitool add plain /run/netns/plain > /dev/null
