package step

import (
	"fmt"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// A port is under the guard from its beginning; taken from under it, or with rules that somebody flushed, it is missed, and put back.
func TestGuard(t *testing.T) {
	onHost(t, func(h *host) {
		guarded, guard := pair, Guard{Owner: one, Host: link, Bridge: "br0"}
		guarded.Guarded = true
		h.apply(br, guarded)
		if created, err := guard.Apply(h.ctx, h.Site); created || err != nil {
			t.Errorf("created %v, %v: want the link to be in the group already", created, err)
		}
		h.must(guard.Verify(h.ctx, h.Site))
		for command, word := range map[string]string{
			"ip link set " + link + " group 0":          fmt.Sprintf("group of %s: expected %d, found 0", link, firewall.Guarded),
			"nft flush ruleset":                         "table bridge trestle: expected, found none",
			"nft flush chain bridge trestle advertised": "advertised",
		} {
			h.run(command)
			refuses(h, guard.Verify(h.ctx, h.Site), fault.Drift, word)
			h.apply(guard)
			h.must(guard.Verify(h.ctx, h.Site))
		}
		h.must(guard.Undo(h.ctx, h.Site))
		refuses(h, guard.Verify(h.ctx, h.Site), fault.Drift, "group of")
		h.must(guard.Undo(h.ctx, h.Site))
	})
}

// What the reference made is nobody's to guard.
func TestGuardOfTheReference(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		h.run("ip link add veth1a2b3c4d master br0 type veth peer name eth0 netns c1")
		before := h.snapshot()
		guard := Guard{Owner: one, Host: "veth1a2b3c4d", Bridge: "br0"}
		h.apply(guard)
		h.must(guard.Verify(h.ctx, h.Site))
		h.same("afterwards", before)
	})
}
