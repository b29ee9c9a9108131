package iptables

import "testing"

// Of a chain FORWARD that drops nothing nobody expects rules against that: neither what accepts, be it our other backend's, nor our own jumps drop.
func TestDrops(t *testing.T) {
	const anchor = `-A FORWARD -m mark --mark 0x1000000/0x1000000 -m comment --comment "trestle anchor" -j ACCEPT` + "\n"
	for text, want := range map[string]bool{
		"": false,
		"-A FORWARD " + forwardJump + "\n-A FORWARD " + stageJump + "\n": false,
		anchor: false,
		anchor + "-A FORWARD " + forwardJump + "\n-A FORWARD -s 10.1.0.0/24 -j ACCEPT\n": false,
		anchor + "-A FORWARD -s 10.1.0.0/24 -j REJECT\n":                                 true,
		"-A FORWARD -m conntrack --ctstate INVALID -j DROP\n":                            true,
		"-A FORWARD -m comment --comment \"-j ACCEPT\" -j DOCKER-USER\n":                 true,
	} {
		for policy, drop := range map[string]bool{"ACCEPT": want, "DROP": true} {
			s := &state{filter: parse("*filter\n:FORWARD " + policy + " [0:0]\n" + text + "COMMIT\n")}
			if got := s.drops(); got != drop {
				t.Errorf("policy %s, %q: %v, want %v", policy, text, got, drop)
			}
		}
	}
}
