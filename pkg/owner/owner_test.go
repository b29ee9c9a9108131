package owner

import (
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The hashes are an interface: what one release marked, the next must find. Computed with sha256sum(1).
func TestVectors(t *testing.T) {
	for _, v := range []struct{ network, container, ifName, networkHash, ownerHash, link string }{
		{"testnet", "ctr1", "eth0", "9afbce9f24165207", "b063b158ff0960c6c6aef2", "vethb063b158ff0"},
		{"testnet", "ctr1", "eth1", "9afbce9f24165207", "adf56cabc4e2a00dfa9cdb", "vethadf56cabc4e"},
	} {
		o := Of(v.network, v.container, v.ifName)
		if got := hex.EncodeToString(o.Network[:]); got != v.networkHash {
			t.Errorf("%s: network %s, want %s", o, got, v.networkHash)
		}
		if got := hex.EncodeToString(o.ID.Owner[:]); got != v.ownerHash {
			t.Errorf("%s: owner %s, want %s", o, got, v.ownerHash)
		}
		if got := o.HostLink(); got != v.link {
			t.Errorf("%s: host link %s, want %s", o, got, v.link)
		}
	}
	o := Of("testnet", "ctr1", "eth0")
	for role, want := range map[string]string{
		"masquerade": "111d3dd469a64c3871b7d92c5b52bdbd",
		"publish":    "f812d645cb7a36274c281268b0bcf585",
	} {
		if key := o.Key(role); hex.EncodeToString(key[:]) != want {
			t.Errorf("key of %s in role %s: %x, want %s", o, role, key, want)
		}
	}
	want := "t1 9afbce9f24165207 b063b158ff0960c6c6aef2 testnet/ctr1/eth0"
	if got := o.Tag(AliasRoom); got != want {
		t.Errorf("tag %q, want %q", got, want)
	}
}

// The reference hashes without separators, so that two attachments may have one name (L5 of its sharp edges).
func TestSeparators(t *testing.T) {
	if Of("ab", "c", "eth0").ID == Of("a", "bc", "eth0").ID {
		t.Error("ab/c and a/bc are one owner")
	}
}

func TestParseForeign(t *testing.T) {
	for _, tag := range []string{
		"", "t1", "trestle bridge", "dnat name: \"n\" id: \"c\"",
		"t2 9afbce9f24165207 b063b158ff0960c6c6aef2 a/b/c",
		"t1 9afbce9f24165207 b063b158ff0960c6c6aef2",          // no text
		"t1 9afbce9f241652 b063b158ff0960c6c6aef2 a/b/c",      // network too short
		"t1 9afbce9f24165207 b063b158ff0960c6c6aef21f a/b/c",  // owner too long
		"t1 9afbce9f2416520x b063b158ff0960c6c6aef2 a/b/c",    // no hex
		" t1 9afbce9f24165207 b063b158ff0960c6c6aef2 a/b/c",   // not at the start
		"xt1 9afbce9f24165207 b063b158ff0960c6c6aef2 a/b/c\n", // another program's word
	} {
		if o, ok := Parse(tag); ok {
			t.Errorf("%q was taken for a tag of %s", tag, o)
		}
	}
}

// What Tag wrote, Parse reads, in any room that a tag may have, with names as long as they like.
func TestTagProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,140}`)
		o := Of(name.Draw(t, "network"), name.Draw(t, "container"), rapid.StringMatching(`[^/: \t\n]{1,15}`).Draw(t, "ifname"))
		room := rapid.IntRange(MinRoom, AliasRoom).Draw(t, "room")
		tag := o.Tag(room)
		if len(tag) > room {
			t.Fatalf("tag of %d bytes in a room of %d", len(tag), room)
		}
		got, ok := Parse(tag)
		if !ok || got.ID != o.ID {
			t.Fatalf("%q was read as %v, %v", tag, got, ok)
		}
		if !strings.HasPrefix(o.Text, got.Text) {
			t.Fatalf("%q holds the text %q of %q", tag, got.Text, o.Text)
		}
		if link := o.HostLink(); len(link) != 15 {
			t.Fatalf("host link %q has %d bytes", link, len(link))
		}
	})
}

func TestNames(t *testing.T) {
	o := Of("net", "c1", "eth0")
	if network, id, ifName, whole := o.Names(); !whole || network != "net" || id != "c1" || ifName != "eth0" {
		t.Errorf("names of %s: %q %q %q, %v", o, network, id, ifName, whole)
	}
	cut, ok := Parse(o.Tag(len(o.Tag(AliasRoom)) - 1))
	if _, _, _, whole := cut.Names(); !ok || whole {
		t.Errorf("a text that was cut to %q counts as whole", cut.Text)
	}
}

// Attachments of one container are told from others, also where a tag has cut a text short.
func TestBeside(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	o := Of("net", id, "eth0")
	for _, v := range []struct {
		other  Owner
		beside bool
	}{
		{o, false},
		{Of("net", id, "eth1"), true},
		{Of("other", id, "eth0"), true},
		{Of("other", id, "any"), true},
		{Of(strings.Repeat("n", 40), id, "eth0"), true},
		{Of(strings.Repeat("n", 40), id, "net3"), true},
		{Of(strings.Repeat("n", 40), id[:60]+"ffff", "eth0"), false},
		{Of("net", id[:63], "eth1"), false},
	} {
		read, _ := Parse(v.other.Tag(CommentRoom))
		if got := o.Beside(read); got != v.beside {
			t.Errorf("%s beside %s: %t, want %t", read, o, got, v.beside)
		}
	}
	if read, _ := Parse(o.Tag(MinRoom + 8)); read.Beside(o) {
		t.Error("who is cut short himself is beside nobody")
	}
}
