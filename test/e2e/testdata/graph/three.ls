NETWORK  CONTAINER  INTERFACE  ADDRESSES  HOST LINK  PORTS  AGE  STATE  BRIDGE  NAMESPACE  MADE BY  WHY
back  cnitool-48738334846f55044f56  eth0  10.51.0.101/24  vethf8d9b20acdf  0s  whole  back0  /run/netns/db  trestle
back  cnitool-82e215debf7df4651d36  eth1  10.51.0.100/24  veth9e8e9d05ccf  0s  whole  back0  /run/netns/web  trestle
old  cnitool-1b1a0cc9688969005e19  eth0  10.77.0.2/24  vethxxxxxxxx  0s  whole  old0  /run/netns/old  reference
ports  cnitool-4b77634640fe9d90e8b8  eth0  10.20.0.3/24  veth628cbbe9e18  0s  broken  ports0  /run/netns/api  trestle  bridge: links up: link eth0: expected up, found down; routes on eth0: expected 0.0.0.0/0 via 10.20.0.1, found []; expected 10.20.0.0/24, found []; port of ports0: veth628cbbe9e18: expected forwarding, found disabled
ports  cnitool-82e215debf7df4651d36  eth0  10.20.0.2/24  veth1b216dff394  8080>80/tcp  0s  whole  ports0  /run/netns/web  trestle
ports  cnitool-dfb70d5f5b13417473cf  eth0  10.20.0.4/24  8081>80/tcp  0s  leaked  /run/netns/gone  trestle  its network namespace is gone
{
  "attachments": [
  {
  "id": "back/cnitool-48738334846f55044f56/eth0",
  "network": "back",
  "containerID": "cnitool-48738334846f55044f56",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/db",
  "namespace": "netns/1",
  "link": "netns/1/eth0",
  "hostLink": "netns/host/vethf8d9b20acdf",
  "bridge": "netns/host/back0",
  "addresses": [
  "10.51.0.101/24"
  ],
  "result": "/var/lib/cni/results/back-cnitool-48738334846f55044f56-eth0",
  "since": "(then)"
  },
  {
  "id": "back/cnitool-82e215debf7df4651d36/eth1",
  "network": "back",
  "containerID": "cnitool-82e215debf7df4651d36",
  "ifname": "eth1",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/web",
  "namespace": "netns/2",
  "link": "netns/2/eth1",
  "hostLink": "netns/host/veth9e8e9d05ccf",
  "bridge": "netns/host/back0",
  "addresses": [
  "10.51.0.100/24"
  ],
  "result": "/var/lib/cni/results/back-cnitool-82e215debf7df4651d36-eth1",
  "since": "(then)"
  },
  {
  "id": "old/cnitool-1b1a0cc9688969005e19/eth0",
  "network": "old",
  "containerID": "cnitool-1b1a0cc9688969005e19",
  "ifname": "eth0",
  "origin": "reference",
  "state": "whole",
  "netns": "/run/netns/old",
  "namespace": "netns/3",
  "link": "netns/3/eth0",
  "hostLink": "netns/host/vethxxxxxxxx",
  "bridge": "netns/host/old0",
  "addresses": [
  "10.77.0.2/24"
  ],
  "result": "/var/lib/cni/results/old-cnitool-1b1a0cc9688969005e19-eth0",
  "since": "(then)"
  },
  {
  "id": "ports/cnitool-4b77634640fe9d90e8b8/eth0",
  "network": "ports",
  "containerID": "cnitool-4b77634640fe9d90e8b8",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "broken",
  "why": [
  "bridge: links up: link eth0: expected up, found down",
  "routes on eth0: expected 0.0.0.0/0 via 10.20.0.1, found []",
  "expected 10.20.0.0/24, found []",
  "port of ports0: veth628cbbe9e18: expected forwarding, found disabled"
  ],
  "remedy": "delete the attachment and add it again",
  "netns": "/run/netns/api",
  "namespace": "netns/4",
  "link": "netns/4/eth0",
  "hostLink": "netns/host/veth628cbbe9e18",
  "bridge": "netns/host/ports0",
  "addresses": [
  "10.20.0.3/24"
  ],
  "masqueraded": [
  "10.20.0.3"
