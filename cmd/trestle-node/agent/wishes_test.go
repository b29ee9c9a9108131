package agent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// Blocks of 13 addresses, by how long they have been open; what is used of each; and what a host wishes.
func TestWishes(t *testing.T) {
	now := time.Now()
	limits := Limits{Spare: 1, MaxBlocks: 4, Rest: 10 * time.Minute}
	for _, c := range []struct {
		name   string
		open   []time.Duration // ago
		used   []int
		limits Limits
		want   string
	}{
		{"a new host", nil, nil, limits, "claim [4]"},
		{"an empty block is the spare one", []time.Duration{0}, []int{0}, limits, "nothing"},
		{"the first container", []time.Duration{0}, []int{1}, limits, "claim [4]"},
		{"a block's worth is free in two", []time.Duration{0, 0}, []int{6, 7}, limits, "nothing"},
		{"less is free in two", []time.Duration{0, 0}, []int{7, 7}, limits, "claim [4]"},
		{"as many as it may", []time.Duration{0, 0, 0, 0}, []int{13, 13, 13, 13}, limits, "nothing"},
		{"one is empty", []time.Duration{time.Hour, time.Hour}, []int{13, 0}, limits, "nothing"},
		{"two are empty, and rested", []time.Duration{2 * time.Hour, time.Hour}, []int{0, 0}, limits, "release [4/00000001]"},
		{"two are empty, one has not rested", []time.Duration{time.Hour, 4 * time.Minute}, []int{0, 0}, limits, "later 6m0s"},
		{"the clock was put back", []time.Duration{-time.Hour, -time.Hour}, []int{0, 0}, limits, "later 1h10m0s"},
		{"the clock was put back, and all is used", []time.Duration{-time.Hour}, []int{13}, limits, "claim [4]"},
		{"nothing to spare, the first", nil, nil, Limits{MaxBlocks: 4}, "claim [4]"},
		{"nothing to spare, room for one", []time.Duration{0}, []int{12}, Limits{MaxBlocks: 4}, "nothing"},
		{"nothing to spare, full", []time.Duration{0}, []int{13}, Limits{MaxBlocks: 4}, "claim [4]"},
	} {
		content := ledger.Content{Pool: pool.Definition{CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, BlockSize: pool.Sizes{IPv4: 28}, Shape: pool.Routed}}
		content.Since = make(map[pool.ID]time.Time)
		used := make(map[pool.ID]int)
		for i, ago := range c.open {
			id := pool.ID{Family: 4, Index: uint32(i)}
			content.State.Blocks = append(content.State.Blocks, protocol.Block{ID: id, Phase: protocol.Open, Epoch: 1})
			content.Since[id], used[id] = now.Add(-ago), c.used[i]
		}
		w := WishesOf(content, used, c.limits, now)
		got := "nothing"
		switch {
		case len(w.Claim) > 0:
			got = fmt.Sprintf("claim %v", w.Claim)
		case len(w.Release) > 0:
			got = fmt.Sprintf("release %v", w.Release)
		case !w.Later.IsZero():
			got = fmt.Sprintf("later %v", w.Later.Sub(now))
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A container that comes and goes moves nothing before the block that it brought has rested, however full the blocks are.
func TestWishesAreQuiet(t *testing.T) {
	limits, now := Limits{Spare: 1, MaxBlocks: 16, Rest: time.Minute}, time.Now()
	content := ledger.Content{Pool: pool.Definition{CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, BlockSize: pool.Sizes{IPv4: 28}, Shape: pool.Routed}}
	content.Since = make(map[pool.ID]time.Time)
	for n := range 100 { // containers, in the first blocks first
		used := make(map[pool.ID]int)
		for i := range n {
			used[pool.ID{Family: 4, Index: uint32(i / 13)}]++
		}
		w := WishesOf(content, used, limits, now)
		for len(w.Claim) > 0 {
			id := pool.ID{Family: 4, Index: uint32(len(content.State.Blocks))}
			content.State.Blocks = append(content.State.Blocks, protocol.Block{ID: id, Phase: protocol.Open})
			content.Since[id] = now
			w = WishesOf(content, used, limits, now)
		}
		if n > 0 {
			used[pool.ID{Family: 4, Index: uint32((n - 1) / 13)}]--
			if w := WishesOf(content, used, limits, now); len(w.Claim)+len(w.Release) > 0 {
				t.Errorf("%d containers, then one less: %+v", n, w)
			}
		}
	}
}
