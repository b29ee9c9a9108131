package iptables

import (
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestLost has the tool of either flavour write what others took away, or made, since it was looked: another look may help, and it is known by what the tool says.
func TestLost(t *testing.T) {
	for _, kind := range []string{"nft", "legacy"} {
		t.Run(kind, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				choose(t, kind)
				f := open()
				defer f.Close()
				tool, err := f.find(t.Context(), families()[0], flavour(kind))
				must(t, err)
				lock, err := f.lock(t.Context())
				must(t, err)
				defer lock.Close()
				for line, want := range map[string]bool{
					"-A POSTROUTING -j GONE":                        true,
					"-A GONE -j RETURN":                             true,
					"-I GONE 1 -j RETURN":                           true,
					"-I POSTROUTING 9 -j RETURN":                    true,
					"-D POSTROUTING -s 10.1.0.2 -j RETURN":          true,
					"-D GONE -s 10.1.0.2 -j RETURN":                 true,
					"-X GONE":                                       true,
					"-A POSTROUTING -m nosuch -j RETURN":            false,
					"-A POSTROUTING -j MASQUERADE --no-such-option": false,
				} {
					if err := tool.write(t.Context(), lock, lines{"nat", []string{line}}); err == nil || lost(err) != want {
						t.Errorf("%s: lost %t, want %t: %v", line, lost(err), want, err)
					}
				}
			})
		})
	}
}
