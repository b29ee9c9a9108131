# A healthy host whose networks have every plugin of the suite that is here, and whose packet filter drops what it forwards: one with rates and settings,
# one that isolates, one of pairs, and one by the chains of iptables. $1 is the directory of the plugins.
set -e
mkdir -p /run/net.d /run/bin
for plugin in bridge host-local static portmap ptp firewall tuning bandwidth; do ln -s "$1/$plugin" /run/bin/$plugin; done
for ns in outside web two three pair old; do
	ip netns add $ns
	ip -n $ns link set lo up
done
ip link add uplink type veth peer name eth0 netns outside
ip -n outside addr add 192.0.2.2/24 dev eth0
ip -n outside link set eth0 up
ip addr add 192.0.2.1/24 dev uplink
ip link set uplink up
ip route add default via 192.0.2.2
iptables-nft -P FORWARD DROP
list() { # NAME, the plugin that makes the interface, its subnet, the others
	echo "{\"cniVersion\": \"1.1.0\", \"name\": \"$1\", \"plugins\": [
	  {$2, \"ipMasq\": true, \"ipam\": {\"type\": \"host-local\", \"subnet\": \"$3\", \"routes\": [{\"dst\": \"0.0.0.0/0\"}]}}, $4]}" > "/run/net.d/$1.conflist"
}
list shaped '"type": "bridge", "bridge": "cni1", "isGateway": true' 10.1.0.0/24 '{"type": "firewall", "ingressPolicy": "same-bridge"},
	  {"type": "tuning", "mtu": 1400, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}},
	  {"type": "bandwidth", "ingressRate": 800000000, "ingressBurst": 8000000, "egressRate": 800000000, "egressBurst": 8000000}'
list apart '"type": "bridge", "bridge": "cni2", "isGateway": true' 10.2.0.0/24 '{"type": "firewall", "ingressPolicy": "isolated"}'
list pairs '"type": "ptp"' 10.3.0.0/24 '{"type": "firewall"}'
list older '"type": "bridge", "bridge": "cni4", "isGateway": true' 10.4.0.0/24 '{"type": "firewall", "backend": "iptables"}'
for at in shaped:web apart:two apart:three pairs:pair older:old; do cnitool add ${at%:*} /run/netns/${at#*:} > /dev/null; done
