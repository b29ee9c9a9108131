// Package iptables is the packet filter for whoever asks for iptables, or has a kernel without nf_tables.
//
// The table nat has what the reference suite writes, to the byte, because other programs read it and the reference must be able to delete
// it: a node can go from the reference to us and back with pods running. Names and comments there have the network and the container, but no
// interface. So what is whose stands in the table raw: a chain TRESTLE-<hash of owner and role> that nothing leads to, with a rule for each of
// the owner's addresses and the owner's tag as its comment. It is the ledger; packets never see it. What the ledger does not know in a chain is
// the reference's, or left by a killed call.
//
// A verb is one iptables-restore a family that has something to change, after one iptables-save a table; our lock keeps others of ours out in
// between, and the tool's own lock (--wait) the other users of iptables.
//
// The two flavours, iptables-nft and iptables-legacy, are two packet filters. What is made goes to the one that `iptables` is on this
// host; what is dropped is dropped where the kernel has it, by a tool of that flavour.
package iptables

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Options are what a configuration says about rules of iptables.
type Options struct {
	MarkBit      int      // 0 to 31: the bit of the mark of what must be masqueraded; the reference's default is 13
	MarkChain    string   // an existing chain of the table nat that sets a mark itself; empty: ours
	ConditionsV4 []string // words of iptables, put into the entries of this network's ports
	ConditionsV6 []string
	Asked        []Asked         // nil: what is published
	Gone         Gone            // nil: of nobody it is provable
	Link         firewall.Filter // answers for roles that are about frames, which iptables never sees
	Run          string          // directory of the lock; empty: Run
	// Conn is the connection to nf_tables that the host's filters share; nil: one is opened for each look, and each table read each time.
	Conn func() (*nftconn.Conn, error)
}

// Asked is a host port as the runtime asked for it. All that it asks for is in the entries of both families, in its order, a protocol in capitals apart
// from the others: so does the reference, and looks for that.
type Asked struct {
	Protocol string
	Port     uint16
}

// DefaultMarkBit is the bit that the reference uses where the configuration names none.
const DefaultMarkBit = 13

// conditions returns the words of one family, each quoted, with a space after each.
func (o Options) conditions(is4 bool) string {
	list := o.ConditionsV6
	if is4 {
		list = o.ConditionsV4
	}
	var b strings.Builder
	for _, word := range list {
		b.WriteString(quote(word) + " ")
	}
	return b.String()
}

// Filter is the iptables of the network namespace of the process.
type Filter struct {
	options  Options
	readings readings
	left     firewall.Left
	made     []*state // by the last Hold
}

var _ firewall.Filter = (*Filter)(nil)

// Open returns the filter. Nothing is run before it is asked something.
func Open(o Options) *Filter {
	if o.Run == "" {
		o.Run = Run
	}
	return &Filter{options: o, readings: readings{conn: o.Conn}}
}

// Close closes the filter for frames.
func (f *Filter) Close() error { return f.options.Link.Close() }

// Hold reads both tables of each family that the claim has values for, or the owner anything in, and adds what is missing.
func (f *Filter) Hold(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (created bool, err error) {
	if c.Role.Frames() {
		return f.options.Link.Hold(ctx, o, c, dead)
	}
	if err := check(c); err != nil || c.Empty() && len(c.Bare) == 0 {
		return false, err
	}
	lock, err := f.lock(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	err = again(ctx, func() (looks bool, err error) {
		if c.Role == firewall.Forward {
			created, err = f.putPass(ctx, lock, o, c)
		} else {
			created, err = f.put(ctx, lock, o, c, dead)
		}
		return lost(err), err
	})
	return created, err
}

// put makes what is missing, or takes back what it has made of that.
func (f *Filter) put(ctx context.Context, lock *os.File, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (created bool, err error) {
	states, err := f.hold(ctx, o, c, dead)
	if err != nil {
		return false, err
	}
	for i, s := range states {
		if err := s.made(ctx, lock); err != nil {
			return false, fault.Join(err, f.takeBack(ctx, lock, o, c.Role, states[:i+1]))
		}
		if s.lacks() {
			created = true
			firewall.Tell(ctx, s.hidden)
		}
	}
	f.made = states
	return created, nil
}

// hold notes, family by family, what is missing to the claim, and the guard. Nothing is written.
func (f *Filter) hold(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (states []*state, err error) {
	n, known := namesOf(o)
	if !known {
		return nil, fault.New(fault.Internal, "", "%s: names that were cut", o)
	}
	for _, family := range families() {
		mine := part(family, c)
		s, err := f.open(ctx, family, o, mine)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		if err := s.blind(); err != nil {
			return nil, err
		}
		s.dead, s.gone, s.masks = dead, f.options.Gone, masks(c)
		s.guard()
		if err := f.holdIn(s, o, n, mine); err != nil {
			return nil, err
		}
		f.spare(s)
		states = append(states, s)
	}
	return states, nil
}

// open reads the family by the tool of the host's choice; nil where nothing of the owner's is there or to be made.
func (f *Filter) open(ctx context.Context, family family, o owner.Owner, c firewall.Claim) (*state, error) {
	t, err := f.find(ctx, family, "")
	if len(addrs(c)) == 0 && !family.is4 {
		if err != nil {
			return nil, nil // without a tool nothing here could have made anything
		}
		k, err := f.look()
		if err != nil {
			return nil, err
		}
		defer k.close()
		there, err := k.has(ctx, place{family, t.flavour}, "raw", ledgerChain(o, c.Role))
		if err != nil || !there {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return t.load(ctx)
}

// holdIn notes what is missing to the family's part of a claim.
func (f *Filter) holdIn(s *state, o owner.Owner, n names, c firewall.Claim) error {
	if len(addrs(c)) == 0 {
		if c.Role.Shared() {
			return nil // it may be by another entry of the owner's list
		}
		if s.raw.has(ledgerChain(o, c.Role)) {
			f.drop(s, o, n, c)
			s.differs(fmt.Sprintf("%s: expected nothing of %s, found something", s.program, o))
		}
		return nil
	}
	if c.Role == firewall.Publish {
		return s.holdPublish(o, n, c, f.options)
	}
	s.enter(o, c, s.ledger(o, n, c))
	return s.holdMasq(o, n, c)
}

// enter notes what is missing to the owner's ledger.
func (s *state) enter(o owner.Owner, c firewall.Claim, ledger []string) {
	if rewrite(s.raw, &s.toRaw, ledgerChain(o, c.Role), ledger) {
		s.renewed = true
		s.differs(fmt.Sprintf("ledger of %s: expected %v", o, addrs(c)))
	}
}

// Held notes what Hold would change.
func (f *Filter) Held(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	if c.Role.Frames() {
		return f.options.Link.Held(ctx, o, c)
	}
	if err := check(c); err != nil || c.Empty() && len(c.Bare) == 0 {
		return err
	}
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	var list []string
	states, err := f.missing(ctx, o, c)
	if err != nil {
		return err
	}
	for _, s := range states {
		list = append(list, s.lacking()...)
	}
	return drifted(list)
}
