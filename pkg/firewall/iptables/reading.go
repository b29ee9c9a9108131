package iptables

import (
	"context"
	"os/exec"
	"sync"

	"github.com/trestle-cni/trestle/pkg/nftconn"
)

// readings are the tables of iptables-nft as they were read last. A call looks at one several times, each time in its own right, and the program
// that prints it takes some milliseconds. Nothing in nf_tables changes without a transaction, and each raises the generation, so at the same
// generation a table is as it was. Those of iptables-legacy have no generation, and are read each time.
type readings struct {
	conn func() (*nftconn.Conn, error) // nil: nothing is kept
	lock sync.Mutex
	kept map[string]reading // by the program and the table
}

// reading is a table that was so throughout the generation.
type reading struct {
	generation uint32
	*ruleset
}

// generation returns that of nf_tables now; 0, which none has, where it is not to be had.
func (r *readings) generation() uint32 {
	if r.conn == nil {
		return 0
	}
	conn, err := r.conn()
	if err != nil {
		return 0
	}
	now, err := conn.GetGen()
	if err != nil {
		return 0
	}
	return now.ID
}

// read returns one table. Nobody changes what it returns.
func (t *tool) read(ctx context.Context, table string) (*ruleset, error) {
	if t.flavour == legacy {
		return t.print(ctx, table)
	}
	t.readings.lock.Lock()
	defer t.readings.lock.Unlock()
	name, before := t.save+" "+table, t.readings.generation()
	if last := t.readings.kept[name]; last.ruleset != nil && last.generation == before {
		return last.ruleset, nil
	}
	rules, err := t.print(ctx, table)
	if err == nil && before != 0 && t.readings.generation() == before {
		t.readings.keep(name, reading{before, rules})
	}
	return rules, err
}

func (r *readings) keep(name string, last reading) {
	if r.kept == nil {
		r.kept = make(map[string]reading)
	}
	r.kept[name] = last
}

// print runs the program.
func (t *tool) print(ctx context.Context, table string) (*ruleset, error) {
	out, err := t.run(exec.CommandContext(ctx, t.save, "-t", table))
	if err != nil {
		return nil, err
	}
	return parse(out), nil
}
