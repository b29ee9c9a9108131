package iptables

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"sync"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
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
func (r *readings) generation() (id uint32) {
	r.ask(func(conn *nftconn.Conn) {
		if now, err := conn.GetGen(); err == nil {
			id = now.ID
		}
	})
	return id
}

// have says whether the tables are known to be there.
func (r *readings) have(tables ...*nftables.Table) bool {
	var there []*nftables.Table
	r.ask(func(conn *nftconn.Conn) { there, _ = conn.ListTables() }) // nothing is known where that fails
	return !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return !among(there, t) })
}

// ask has the connection, if there is one, to itself.
func (r *readings) ask(question func(*nftconn.Conn)) {
	if r.conn == nil {
		return
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if conn, err := r.conn(); err == nil {
		question(conn)
	}
}

// read returns one table. Nobody changes what it returns.
func (t *tool) read(ctx context.Context, table string) (*ruleset, error) {
	if t.flavour == legacy {
		return t.print(ctx, table)
	}
	name, before := t.save+" "+table, t.readings.generation()
	if rules := t.readings.at(before, name); rules != nil {
		return rules, nil
	}
	rules, err := t.print(ctx, table)
	if err == nil && before != 0 && t.readings.generation() == before {
		t.readings.keep(name, reading{before, rules})
	}
	return rules, err
}

// both returns the tables raw and nat. They are printed at the same time where both are there: to print one that is not makes it, and two who make
// something may be in each other's way.
func (t *tool) both(ctx context.Context) (raw, nat *ruleset, err error) {
	if t.flavour == legacy || !t.readings.have(t.table("raw"), t.table("nat")) {
		if raw, err = t.read(ctx, "raw"); err == nil {
			nat, err = t.read(ctx, "nat")
		}
		return raw, nat, err
	}
	failed := make(chan error)
	go func() {
		var err error
		raw, err = t.read(ctx, "raw")
		failed <- err
	}()
	nat, err = t.read(ctx, "nat")
	err = errors.Join(<-failed, err)
	return raw, nat, err
}

// at returns the table as it is at the generation, nil where that is not known.
func (r *readings) at(generation uint32, name string) *ruleset {
	r.lock.Lock()
	defer r.lock.Unlock()
	if last, known := r.kept[name]; known && last.generation == generation {
		return last.ruleset
	}
	return nil
}

func (r *readings) keep(name string, last reading) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.kept == nil {
		r.kept = make(map[string]reading)
	}
	r.kept[name] = last
}

// print runs the program.
func (t *tool) print(ctx context.Context, table string) (*ruleset, error) {
	out, err := output(ctx, exec.CommandContext(ctx, t.save, "-t", table))
	if err != nil {
		return nil, err
	}
	return parse(out), nil
}
