package tool

import "testing"

// What another made, since both share it, is not said to have been made again of nothing.
func TestAgain(t *testing.T) {
	for want, r := range map[string]repaired{
		"made again: net/c1/eth0: routes, masquerade": {Attachment: "net/c1/eth0", Made: []string{"routes", "masquerade"}},
		"whole again: net/c1/eth0":                    {Attachment: "net/c1/eth0"},
	} {
		if got := r.again(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
