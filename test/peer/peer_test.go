package peer

import (
	"net"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

func TestAnswers(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for _, c := range []struct{ network, address, want string }{
			{"tcp", "127.0.0.1:80", "web sees 127.0.0.1\n"},
			{"udp", "127.0.0.1:53", "web sees 127.0.0.1\n"},
			{"tcp", "[::1]:80", "web sees ::1\n"},
			{"udp", "[::1]:53", "web sees ::1\n"},
			{"sctp", "127.0.0.1:3868", "web sees 127.0.0.1\n"},
			{"sctp", "[::1]:3868", "web sees ::1\n"},
		} {
			server, err := Serve("web", c.network, c.address)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Ask(c.network, c.address, slack.Of(5*time.Second))
			if err != nil || got != c.want {
				t.Errorf("%s %s: %q, %v, want %q", c.network, c.address, got, err, c.want)
			}
			server.Close()
		}
	})
}

func TestNobodyThere(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		silent, err := net.ListenPacket("udp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		for network, address := range map[string]string{"tcp": "127.0.0.1:80", "udp": "127.0.0.1:53", "sctp": "127.0.0.1:3868"} {
			if got, err := Ask(network, address, 100*time.Millisecond); err == nil {
				t.Errorf("%s %s: %q, want an error", network, address, got)
			}
		}
	})
}
