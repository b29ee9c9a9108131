package main

import (
	"context"
	"net/netip"
	"os"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/cmd/trestle-node/reach"
)

// begin begins an agent's life, of which these parts must be well, and lets it be looked at where the file says at which address.
func begin(ctx context.Context, c config, parts []string) (*life.Life, error) {
	l := life.New(life.Log(os.Stderr).With("network", c.network, "node", c.node), parts...)
	l.Did("begins", "source", c.source)
	context.AfterFunc(ctx, func() { l.Did("ends, and changes nothing") })
	if c.heal {
		go heal(ctx, l)
	}
	if c.listen == "" {
		return l, nil
	}
	listener, err := life.Listen(c.listen)
	if err == nil {
		go l.Serve(ctx, listener)
	}
	return l, err
}

// openReach begins to make others reachable, from the first of these addresses where the file does not name another.
func (c config) openReach(ctx context.Context, l *life.Life, via []netip.Addr) (agent.Reach, agent.MTU, error) {
	if !c.reach.Local.IsValid() {
		c.reach.Local, c.reach.Follow = via[0], true
	}
	c.reach.Log = l.Sayf
	r, err := reach.Open(c.reach)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.MTU(); err != nil {
		r.Close()
		return nil, nil, err
	}
	go r.Run(ctx)
	return r, r.MTU, nil
}
