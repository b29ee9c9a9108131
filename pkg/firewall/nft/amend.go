package nft

import (
	"context"
	"errors"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// change is one part of a transaction. It queues messages and sends nothing.
type change func(*nftables.Conn) error

// add makes an element, or sets the timeout of the one that is there with the same value.
func add(set *nftables.Set, e nftables.SetElement) change {
	return func(c *nftables.Conn) error { return c.SetAddElements(set, []nftables.SetElement{e}) }
}

// remove deletes an element, which must be there.
func remove(set *nftables.Set, e nftables.SetElement) change {
	bare := nftables.SetElement{Key: e.Key, KeyEnd: e.KeyEnd}
	return func(c *nftables.Conn) error { return c.SetDeleteElements(set, []nftables.SetElement{bare}) }
}

// expire gives an element the shortest life. The kernel wants to see its value again, and keeps its comment; all of it is sent,
// because one that was made anew for a millisecond would else belong to nobody.
func expire(set *nftables.Set, e nftables.SetElement) change {
	e.Timeout, e.Expires = time.Millisecond, 0
	return add(set, e)
}

// manner is what a transaction does to the constant part of a table.
type manner uint8

const (
	keep manner = iota // nothing, until the kernel says that some of it is missing
	mend               // makes it whole
	raze               // may take it away
)

// amend looks, decides and commits in one transaction, until nobody else committed in between. decide reads through f.conn; it is
// called again in every attempt. How says what becomes of the constant part.
func (f *Filter) amend(ctx context.Context, t *table, how manner, decide func() ([]change, error)) error {
	_, err := f.rebuild(ctx, t, how, decide)
	return err
}

// rebuild is amend, and says whether the constant part had to be made.
func (f *Filter) rebuild(ctx context.Context, t *table, how manner, decide func() ([]change, error)) (built bool, err error) {
	if err := f.connect(); err != nil {
		return false, explain(err)
	}
	ctx, stop := deadline.Begin(ctx)
	defer stop()
	again := false
	for tries := 0; ; tries++ {
		if tries == hurried {
			defer f.queue(ctx)()
		}
		built, err := f.attempt(t, how, decide)
		switch {
		case err == nil:
			return built, nil
		case misses(err) && built && again:
			return false, fault.New(fault.Unsupported, "load the kernel's modules nft_nat, nft_masq, nft_ct and nft_fib_inet",
				"table %s: the kernel lacks a part of it: %w", t, err)
		case misses(err) && how == keep:
			how = mend
		case !passing(err):
			return false, explain(err)
		}
		if why := over(ctx); why != nil {
			return false, late(why, err)
		}
		again = built
	}
}

// attempt is one round of amend. It says whether the commit had to build the table.
func (f *Filter) attempt(t *table, how manner, decide func() ([]change, error)) (built bool, err error) {
	gen, err := f.generation()
	if err != nil {
		return false, err
	}
	changes, err := decide()
	if err != nil {
		return false, err
	}
	var ground []change
	if how == mend {
		if ground, err = f.foundation(t); err != nil {
			return false, err
		}
	}
	err = f.commit(gen, append(ground, changes...))
	if err == nil && how != raze && len(ground) == 0 && len(changes) > 0 {
		f.carry(gen)
	}
	return len(ground) > 0, err
}

// commit sends the changes, to be taken only if the generation is still the one given. Sending nothing always succeeds.
func (f *Filter) commit(gen uint32, changes []change) error {
	for _, queue := range changes {
		if err := queue(f.conn.Conn); err != nil {
			return errors.Join(err, f.conn.Flush()) // the flush of a queue with an error empties it and sends nothing
		}
	}
	return f.conn.FlushWithGenID(gen)
}

// misses says whether an attempt failed because a table or a set is missing (ENOENT) or is of another kind (EINVAL).
func misses(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) }

// passing says whether an attempt failed because of what happened meanwhile: a commit (ERESTART), the same table or element made
// (EEXIST, EBUSY), a dying element gone for good (ENOENT), or replies lost, where the transaction may have gone through and
// only looking again can tell (ENOBUFS).
func passing(err error) bool {
	for _, errno := range []unix.Errno{unix.ERESTART, unix.EEXIST, unix.EBUSY, unix.ENOENT, unix.ENOBUFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// steady calls look until it is sure of what it saw, or no transaction was committed while it looked. (Dumps of elements are never
// marked as interrupted.) A look that found everything as expected is sure: each part was so when it was read.
func (f *Filter) steady(ctx context.Context, look func() (sure bool, err error)) error {
	if err := f.connect(); err != nil {
		return explain(err)
	}
	ctx, stop := deadline.Begin(ctx)
	defer stop()
	for {
		before, err := f.generation()
		if err != nil {
			return explain(err)
		}
		f.began = before
		sure, found := look()
		if sure && found == nil {
			return nil
		}
		after, err := f.generation()
		if err != nil {
			return explain(err)
		}
		if before == after {
			return explain(found)
		}
		if why := over(ctx); why != nil {
			return late(why, found)
		}
	}
}
