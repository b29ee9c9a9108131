package main

// checks are what every runtime has to stand, in this order.
func checks() []Check {
	hosts := []string{host4, host6}
	return []Check{
		{"addresses and routes, both families", 0, 0, addressed},
		{"loopback inside", Node, 0, loopback},
		{"pod to pod", 0, 0, podToPod},
		{"pod to outside, which sees the host", 0, 0, podToOutside},
		{"outside to hostPort", Ports, 0, published(outside, hosts, func(home) []string { return []string{outside4, outside6} })},
		{"outside to hostPort, by the runtime alone", Mapper, 0, published(outside, hosts, func(home) []string { return []string{outside4, outside6} })},
		{"host to 127.0.0.1:hostPort", Ports, 0, published("", []string{"127.0.0.1"}, func(home) []string { return []string{"10.85.0.1"} })},
		{"hairpin: pod to its own hostPort", Ports, 0, published("pod", hosts, func(home) []string { return []string{"10.85.0.1", "fd00:85::1"} })},
		{"hostPort conflict, in the runtime's words", Ports, 0, conflict},
		{"eight pods at once", 0, 0, crowd},
		{"stop and remove in every order", 0, 0, orders},
		{"restart with pods running", Daemon, 0, restart},
		{"a namespace that vanished", 0, Silent, vanished},
		{"a namespace that vanished, and no DEL", Silent, 0, forgotten},
		{"a plugin of the chain fails: rolled back", 0, 0, failing("portmap")},
		{"a DEL fails once, and is retried", Redo, 0, retried},
		{"a DEL fails, and nobody repeats it: GC", 0, Redo, unrepeated},
		{"CHECK is silent of a healthy pod", Verify, 0, silent},
		{"CHECK names what was broken", Verify, 0, verified},
		{"GC takes away what nobody deletes", Verify, 0, collected},
		{"CHECK, STATUS and GC of a runtime that was killed", Wary, 0, killed},
		{"bandwidth by a pod's annotations", Node, 0, annotated},
		{"STATUS is the node's condition", Status, 0, conditioned},
		{"traces: a pod's start and its end are one tree", Traced | Adopt, 0, traced},
		{"networks as the runtime writes them", Own, 0, ownNetworks},
		{"a container on two networks", Own, 0, onTwo},
		{"containers that share a namespace", Own, 0, sharing},
		{"compose: two services that find each other", Compose, 0, composed},
		{"the list in one plugin", Adopt, 0, onePlugin},
		{"adoption: from the reference, and back", Adopt, 0, adoption},

		{"bad input: broken conflist beside a good one", 0, Strict, broken},
		{"bad input: conflist renamed in", 0, 0, renamed},
		{"bad input: a key's value", 0, 0, edited(replacing("10.85.0.0/16", "10.85.0.0/33"), "10.85.0.0/33")},
		{"bad input: cniVersion 1.1.0", Early, 0, edited(replacing("1.0.0", "1.1.0"), "1.1.0")},
		{"bad input: a plugin missing", 0, 0, missing("bridge")},
		{"bad input: the chain's last plugin missing", 0, 0, missing("portmap")},
		{"bad input: the address plugin missing", 0, 0, missing("host-local")},
		{"bad input: read-only /var/lib/cni", 0, 0, readOnly},
		{"thirty failures, in the runtime's words", Ports, Wary | Strict | Verify, worded},
	}
}
