package main

import "strings"

// onBridge is a list of one bridge with host-local.
func onBridge(keys, ipam string) string {
	if !strings.Contains(keys, `"bridge"`) {
		keys = strings.TrimSuffix(`"bridge": "cni0", `+keys, ", ")
	}
	return `{"type": "bridge", "isGateway": true, ` + keys + `, "ipam": {"type": "host-local", ` + ipam + `}}`
}

const usual = `"subnet": "10.85.0.0/16"`

// reserve gives an address to somebody else, in the words of a shell; free takes that back.
func reserve(address string) string {
	return "mkdir -p /var/lib/cni/networks/node; printf 'other\\r\\neth0' > /var/lib/cni/networks/node/" + address
}

func free(address string) string { return "rm /var/lib/cni/networks/node/" + address }

// publish has another container publish a port.
const (
	publish = `ip netns add holder; mkdir -p /run/held; cp /etc/cni/net.d/10-node.conflist /run/held
CAP_ARGS='{"portMappings": [{"hostPort": 18099, "containerPort": 80, "protocol": "tcp"}]}' NETCONFPATH=/run/held CNI_PATH=/opt/cni/bin $CNITOOL add node /run/netns/holder > /dev/null`
	unpublish = `NETCONFPATH=/run/held CNI_PATH=/opt/cni/bin $CNITOOL del node /run/netns/holder; ip netns del holder`
)

// failures are what is tried.
func failures() []failure {
	list := []failure{
		{name: "a subnet that is none", plugins: onBridge("", `"subnet": "10.85.0.0/33"`),
			says: [3]string{"ipam.subnet: ", `"10.85.0.0/33": must be an address and prefix length`, "mend the network's configuration"}},
		{name: "a range that ends before it starts", plugins: onBridge("", `"ranges": [[{"subnet": "10.85.0.0/16", "rangeStart": "10.85.0.9", "rangeEnd": "10.85.0.3"}]]`),
			says: [3]string{"ipam.ranges[0][0].rangeStart: ", `"10.85.0.9": must not be above rangeEnd, 10.85.0.3`, "mend the network's configuration"}},
		{name: "ranges that overlap", plugins: onBridge("", `"ranges": [[{"subnet": "10.85.0.0/16"}], [{"subnet": "10.85.3.0/24"}]]`),
			says: [3]string{"ipam.ranges[1]: ", "must not overlap ipam.ranges[0]", "mend the network's configuration"}},
		{name: "a gateway of another subnet", plugins: onBridge("", `"ranges": [[{"subnet": "10.85.0.0/16", "gateway": "10.86.0.1"}]]`),
			says: [3]string{"ipam.ranges[0][0].gateway: ", `"10.86.0.1": must be in 10.85.0.0/16`, "mend the network's configuration"}},
		{name: "no address left", plugins: onBridge("", `"subnet": "10.99.0.0/30"`),
			before: reserve("10.99.0.2"), after: free("10.99.0.2"),
			says: [3]string{"range set 10.99.0.1-10.99.0.2: ", "no address is free", "widen the range, or remove containers"}},
		{name: "an address that somebody has", plugins: onBridge(`"args": {"cni": {"ips": ["10.85.7.7"]}}`, usual),
			before: reserve("10.85.7.7"), after: free("10.85.7.7"),
			says: [3]string{"10.85.7.7: ", "held by other/eth0", "choose another address, or remove that container"}},
		{name: "an address outside", plugins: onBridge(`"args": {"cni": {"ips": ["192.0.2.7"]}}`, usual),
			says: [3]string{"requested addresses: 192.0.2.7: ", "in no range set of 10.85.0.1-10.85.255.254 that has one to give", "ask for an address of these, and for one of each range set at the most"}},
		{name: "an address that is none", plugins: `{"type": "bridge", "ipam": {"type": "static", "addresses": [{"address": "10.85.0.300/16"}]}}`,
			says: [3]string{"ipam.addresses[0].address: ", `"10.85.0.300/16": must be an address and prefix length`, "mend the network's configuration"}},
		{name: "no place for reservations", plugins: onBridge("", usual+`, "dataDir": "/proc/nowhere"`),
			says: [3]string{"reservations: ", "mkdir /proc/nowhere: no such file or directory", "is the file system mounted, writable and not full?"}},
		{name: "a read-only disk", plugins: onBridge("", usual+`, "dataDir": "/run/closed"`),
			before: "mkdir -p /run/closed; mount -t tmpfs -o ro none /run/closed", after: "umount /run/closed",
			says: [3]string{"reservations: ", "mkdir /run/closed/node: read-only file system", "is the file system mounted, writable and not full?"}},
		{name: "a full disk", plugins: onBridge("", usual+`, "dataDir": "/run/full"`),
			before: "mkdir -p /run/full; mount -t tmpfs -o size=4k none /run/full; head -c 8192 /dev/zero > /run/full/ballast || true", after: "umount /run/full",
			says: [3]string{"reserve in /run/full/node: ", "no space left on device", "is the file system mounted, writable and not full?"}},
		{name: "an address plugin that is not there", plugins: `{"type": "bridge", "ipam": {"type": "whereabouts"}}`,
			says: [3]string{"ipam.type: whereabouts: ", "not found in CNI_PATH /opt/cni/bin", "put the plugin there or mend CNI_PATH"}},
		{name: "a DHCP daemon that does not run", plugins: `{"type": "bridge", "ipam": {"type": "dhcp"}}`,
			says: [3]string{"dhcp: ", "no daemon at /run/cni/dhcp.sock", "start it: systemctl start cni-dhcp.socket"}},
		{name: "a bridge's name that is too long", plugins: onBridge(`"bridge": "a-bridge-of-a-team"`, usual),
			says: [3]string{"bridge: ", `"a-bridge-of-a-team": must be the name of a link: 1 to 15 bytes`, "mend the network's configuration"}},
		{name: "a bridge that is none", plugins: onBridge(`"bridge": "there0"`, usual),
			before: "ip link add there0 type veth peer name there1", after: "ip link del there0",
			says: [3]string{"link there0: ", "is a veth, not a bridge", "choose another name for the bridge, or remove that link"}},
		{name: "a bridge of another subnet", plugins: onBridge(`"bridge": "there0"`, `"subnet": "10.98.0.0/24"`),
			before: "ip link add there0 type bridge; ip address add 10.98.0.9/24 dev there0; ip link set there0 up", after: "ip link del there0",
			says: [3]string{"gateway on there0: ", "10.98.0.1/24: the link has 10.98.0.9/24", "use another bridge, that gateway, or forceAddress"}},
		{name: "an MTU that is none", plugins: onBridge(`"mtu": 70000`, usual),
			says: [3]string{"mtu: ", "70000: must be a whole number from 0 to 65535", "mend the network's configuration"}},
		{name: "a VLAN that is none", plugins: onBridge(`"vlan": 5000`, usual),
			says: [3]string{"vlan: ", "5000: must be a whole number from 0 to 4094", "mend the network's configuration"}},
		{name: "a MAC that is none", plugins: onBridge(`"args": {"cni": {"mac": "02:00:00:00:00"}}`, usual),
			says: [3]string{"args.cni.mac: ", `"02:00:00:00:00": must be an Ethernet address`, "mend the network's configuration"}},
		{name: "two keys that exclude each other", plugins: onBridge(`"promiscMode": true, "hairpinMode": true`, usual),
			says: [3]string{"hairpinMode: ", "true: cannot be combined with promiscMode", "mend the network's configuration"}},
		{name: "a backend that is none", plugins: onBridge(`"ipMasq": true, "ipMasqBackend": "pf"`, usual),
			says: [3]string{"ipMasqBackend: ", `"pf": must be nftables or iptables`, "mend the network's configuration"}},
		{name: "a key of another type", plugins: onBridge("", usual) + `, {"type": "tuning", "promisc": "yes"}`,
			says: [3]string{"promisc: ", `"yes": must be true or false`, "mend the network's configuration"}},
		{name: "a parent that is not there", plugins: `{"type": "macvlan", "master": "eno9", "ipam": {"type": "host-local", "subnet": "10.97.0.0/24"}}`,
			says: [3]string{"link eno9: ", "not found on the host", "master may be uplink"}},
		{name: "a mode that is none", plugins: `{"type": "ipvlan", "master": "uplink", "mode": "l4", "ipam": {"type": "host-local", "subnet": "10.97.0.0/24"}}`,
			says: [3]string{"mode: ", `"l4": must be one of l2, l3, l3s`, "mend the network's configuration"}},
		{name: "a device that is not there", plugins: `{"type": "host-device", "device": "eno9"}`,
			says: [3]string{"device eno9: ", "not found on the host", "see ip link"}},
		{name: "a port that somebody publishes", plugins: onBridge("", usual) + `, {"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 18099, "containerPort": 80, "protocol": "tcp"}]}}`,
			before: publish, after: unpublish,
			says: [3]string{"host port 18099/tcp: ", "held by node/cnitool-", "delete that attachment, or ask for something else"}},
		{name: "a packet filter that is none", plugins: onBridge("", usual) + `, {"type": "portmap", "backend": "ebtables"}`,
			says: [3]string{"backend: ", `"ebtables": must be nftables or iptables`, "mend the network's configuration"}},
		{name: "a burst that is missing", plugins: onBridge("", usual) + `, {"type": "bandwidth", "ingressRate": 1000000}`,
			says: [3]string{"ingressBurst: ", "0: must be there, as ingressRate is", "mend the network's configuration"}},
		{name: "a firewalld that does not run", plugins: onBridge("", usual) + `, {"type": "firewall", "backend": "firewalld"}`,
			before: "true", after: "nft delete table inet trestle_forward",
			says: [3]string{"firewalld: ", "not running in this network namespace", "start firewalld, or leave out the backend"}},
		{name: "a sysctl that is not there", plugins: onBridge("", usual) + `, {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.no_such": "1"}}`,
			says: [3]string{"/proc/sys/net/ipv4/conf/eth0/no_such of the container: ", "file does not exist", "leave the key out of sysctl"}},
		{name: "a value that the kernel refuses", plugins: onBridge("", usual) + `, {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.rp_filter": "strict"}}`,
			says: [3]string{"sysctl net.ipv4.conf.eth0.rp_filter: ", `"strict": write /proc/sys/net/ipv4/conf/eth0/rp_filter: invalid argument`, "write a value that the kernel takes"}},
		{name: "a MAC that no link can have", plugins: onBridge(`"args": {"cni": {"mac": "01:00:5e:00:00:01"}}`, usual),
			says: [3]string{"args.cni.mac: ", `"01:00:5e:00:00:01": must be an Ethernet address that one interface may have`, "mend the network's configuration"}},
		{name: "a VRF's name that is too long", plugins: onBridge("", usual) + `, {"type": "vrf", "vrfname": "the-blue-one-of-a-team"}`,
			says: [3]string{"vrfname: ", `"the-blue-one-of-a-team": must be the name of a link: 1 to 15 bytes`, "mend the network's configuration"}},
		{name: "forty keys that are wrong", plugins: `{"type": "bridge", "ipam": {"type": "static", "addresses": [` + strings.Repeat(`{"address": "10.85.0.300/16"}, `, 39) + `{"address": ""}]}}`,
			says: [3]string{"ipam.addresses[0].address: ", `"10.85.0.300/16": must be an address and prefix length`, "mend the network's configuration"}},
		{name: "a value that is a page", plugins: onBridge(`"bridge": "`+strings.Repeat("a page ", 500)+`"`, usual),
			says: [3]string{`bridge: "a page`, "must be the name of a link: 1 to 15 bytes", "mend the network's configuration"}},
		{name: "a plugin that needs another before it", plugins: `{"type": "sbr"}`,
			says: [3]string{"prevResult: ", "missing, ADD of sbr needs it", "call it with the result of the last ADD, as in a chain of a conflist"}},
	}
	if _, err := program("sh", "-ec", "ip link add there0 type bridge vlan_filtering 1; ip link del there0"); err != nil {
		list = append(list, failure{name: "a key that this kernel lacks", plugins: onBridge(`"bridge": "there0", "vlan": 5`, usual),
			says: [3]string{"bridge there0: ", "vlan_filtering: this kernel cannot", "leave vlan and vlanTrunk out"}})
	}
	return list
}
