NETWORK  CONTAINER  INTERFACE  ADDRESSES  HOST LINK  PORTS  AGE  STATE  BRIDGE  NAMESPACE  MADE BY  WHY
ports  cnitool-82e215debf7df4651d36  eth0  10.20.0.2/24  veth1b216dff394  8080>80/tcp  0s  whole  ports0  /run/netns/web  trestle
{
  "attachments": [
  {
  "id": "ports/cnitool-82e215debf7df4651d36/eth0",
  "network": "ports",
  "containerID": "cnitool-82e215debf7df4651d36",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/web",
  "namespace": "netns/1",
  "link": "netns/1/eth0",
  "hostLink": "netns/host/veth1b216dff394",
  "bridge": "netns/host/ports0",
  "addresses": [
  "10.20.0.2/24"
  ],
  "ports": [
  {
  "protocol": "tcp",
  "hostPort": 8080,
  "target": "10.20.0.2:80",
  "backend": "nftables"
  }
  ],
  "masqueraded": [
  "10.20.0.2"
  ],
  "result": "/var/lib/cni/results/ports-cnitool-82e215debf7df4651d36-eth0",
  "since": "(then)"
  }
  ],
  "problems": []
}
