// Package nft is the packet filter on nf_tables, spoken to over netlink; no program is run.
//
// The rules are constant. What changes with an attachment are elements of sets and maps: one an address or port, each with its
// owner in the comment, so that ADD and DEL cost nearly the same whether ten attachments are present or ten thousand. Every change
// is one transaction that the kernel takes only if nobody else committed since we looked (the generation id,
// NFNL_BATCH_GENID in linux/netfilter/nfnetlink.h); otherwise we look again. So no lock is needed against other processes; who
// fails repeatedly takes one, so that a crowd does its work in turn.
//
// Each table has a map named attachment with one element an attachment and role. Its key is owner.Key; its value says how many
// elements the owner holds in the role. It is a map and not a set because of that number: a DEL whose configuration names the
// addresses and ports reads these few keys and knows whether it has found everything, so that it need not scan the sets to be
// sure; and one that knows nothing, or a runtime's second DEL, asks for one key, where absent means done.
//
// Elements are removed by giving them a timeout of a millisecond. Deleting one makes the kernel wait for an RCU grace period when
// the socket is closed, 7 to 20 ms in which no other transaction of the namespace proceeds; an expiring one costs nothing. An
// element that has a timeout therefore counts as absent everywhere. Kernels before 6.12 ignore the new timeout; there we delete.
//
// # Versions
//
// The comment of the map attachment begins with the version of the table. (The library writes no comment of a table.) The
// version is raised when rules or sets change. Ground replaces a table of an older version, or one that was edited, in one transaction that
// deletes it, builds it and puts back the elements of all sets that are still there with the same types, so that no packet sees
// a table that is not whole. A table of a newer version is left alone and is a fault: one does not go back with attachments
// present. Hold does not look at the version: a set that it misses makes it call for the ground first.
package nft

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Filter is the nf_tables of one network namespace.
type Filter struct {
	mu      sync.Mutex // one transaction at a time: the connection queues messages
	conn    *nftconn.Conn
	deletes bool // the kernel was seen to ignore a new timeout
	settled bool // see Forget
	memory  memory
	began   uint32 // the generation at which steady's present look began
	looked  uint32 // the generation that Ward asked for, until somebody made use of it; 0: none
	run     string // the directory of the lock; empty: nobody queues
	left    firewall.Left
	back    map[string][]change // by attachment: what takes back what was made beside what the owner had

	strayed map[owner.ID]bool // who was seen to have elements without an attachment

	drops []*table // of which Dropped reads, laid once for all readings

	anchored bool     // Anchor was called, and has looked where it had to
	barred   []string // what it has seen that drops all the same
}

var _ firewall.Filter = (*Filter)(nil)

// Open returns the filter of the network namespace in which the first call is made. Nothing is opened before that call.
func Open() *Filter {
	return &Filter{back: make(map[string][]change), strayed: make(map[owner.ID]bool)}
}

// Close closes the connection, if one was opened.
func (f *Filter) Close() error {
	if f.conn == nil {
		return nil
	}
	f.conn.Close()
	return nil
}

// Ready asks for the generation, the cheapest answer that only nf_tables gives.
func (f *Filter) Ready(ctx context.Context) error {
	defer f.lock()()
	err := f.connect()
	if err == nil {
		_, err = f.generation()
	}
	var known *fault.Error
	if err = explain(err); errors.As(err, &known) {
		return fault.New(fault.NoService, known.Hint, "%w", known.Err)
	}
	return err
}

// lock begins a call and returns what ends it.
func (f *Filter) lock() (unlock func()) {
	f.mu.Lock()
	return f.mu.Unlock
}

// connect opens the connection at first use. It lasts until Close, because closing one may cost a grace period.
func (f *Filter) connect() (err error) {
	if f.conn != nil {
		return nil
	}
	if f.conn, err = nftconn.Open(); err == nil && f.settled {
		f.conn.Forget()
	}
	return err
}

// Conn returns the filter's connection, for whoever looks at other tables of the host; it ends with Close. Each socket that is closed may cost
// a grace period, so a host's filters share one.
func (f *Filter) Conn() (*nftconn.Conn, error) {
	defer f.lock()()
	err := f.connect()
	return f.conn, err
}

// Forget says that what is dropped from now on was there before: Drop looks once more which tables there are, and not again until the next Forget.
func (f *Filter) Forget() {
	defer f.lock()()
	f.settled = true
	if f.conn != nil {
		f.conn.Forget()
	}
}

// generation returns the number of the last commit in the namespace.
func (f *Filter) generation() (uint32, error) {
	gen, err := f.conn.GetGen()
	if err != nil {
		// The library hides the cause of this one. Asking anything else tells it.
		if _, cause := f.conn.ListTables(); cause != nil {
			err = cause
		}
		return 0, err
	}
	return gen.ID, nil
}

// explain turns the kernel's refusals that an operator can do something about into faults.
func explain(err error) error {
	var known *fault.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, unix.EPERM):
		return fault.New(fault.Unsupported, "run with CAP_NET_ADMIN in the user namespace that owns the network namespace",
			"nf_tables: not permitted: %w", err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EAFNOSUPPORT):
		return fault.New(fault.Unsupported, "load the kernel's module nf_tables, 5.7 or later; or use another firewall backend",
			"nf_tables: not in this kernel, or too old: %w", err)
	}
	return fmt.Errorf("nf_tables: %w", err)
}

// late is the fault of a call that ended, for the reason given, before a quiet moment. Last is what the last attempt failed with, if anything.
func late(why, last error) error {
	return fault.New(fault.TryLater, "see who changes the ruleset all the time: nft monitor",
		"nf_tables: the ruleset changed during every attempt: %w", errors.Join(why, last))
}
