package agent

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/test/slack"
)

// failing is a Reach that always fails.
type failing chan int

func (f failing) Set(_ context.Context, blocks []Neighbour) error {
	f <- len(blocks)
	return errors.New("no")
}

// However long has been waited for what fails, what comes meanwhile is told at once.
func TestWhatFailsKeepsNobodyWaiting(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	told := make(failing)
	a := &Agent{Reach: told}
	n := neighbours{dirty: make(chan struct{}, 1), blocks: make(map[protocol.Key]protocol.Entry)}
	n.take(protocol.Entry{Key: protocol.PoolKey(), Revision: 1, Pool: pool.Definition{
		CIDRs: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16")}, BlockSize: pool.Sizes{IPv4: 26}, Shape: pool.Routed}})
	go a.tell(ctx, &n)
	<-told
	began := time.Now()
	for i := range 40 { // by then the pauses are of some seconds each
		n.take(protocol.Entry{Key: protocol.BlockKey(pool.ID{Family: 4, Index: uint32(i)}), Revision: int64(i + 2), Owner: protocol.Owner{Node: "far"}})
		for known := 0; known < i+1; known = <-told {
		}
	}
	if took := time.Since(began); took > slack.Of(2*time.Second) {
		t.Errorf("40 changes were told in %v", took)
	}
}
