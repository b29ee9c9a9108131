package iptables

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// A Keeper knows what the tables of iptables-nft hold of ours, so that all of it can be put back by one run of the tool a family when others sweep it away. It reads
// them after each change of ours, which the kernel tells of (firewall.Sign), and never when others were at work since: what they took would be forgotten. It is safe for use by
// several goroutines; one of them calls Learn and Restore.
type Keeper struct {
	filter *Filter
	conn   *nftconn.Conn

	mu     sync.Mutex
	held   map[string]sheet // by the program of the family; nil: nothing was read yet
	due    bool             // ours were at work since it was read
	swept  bool             // others were
	ours   uint32           // the generation that ours have made last
	sweeps uint32           // the one that others have
	at     uint32           // the one up to which all was told
	knows  uint32           // the one up to which what ours changed is known
	behind bool             // ours have changed something since, that is not
	caught chan struct{}    // closed when more was told
}

// sheet is what the tables of one family hold, by their names.
type sheet map[string]*ruleset

// Change is a transaction in tables of iptables-nft.
type Change struct {
	Ours, Swept bool     // made by us; or something of theirs that may be ours went, and we did not do it
	Gone        []string // the chains that ours removed: family, table and name
	Generation  uint32
}

// Keep returns a keeper that knows nothing. It reads in the calling thread's network namespace.
func Keep(run string) (*Keeper, error) {
	conn, err := nftconn.Open()
	if err != nil {
		return nil, err
	}
	k := &Keeper{conn: conn, due: true, caught: make(chan struct{})}
	k.filter = Open(Options{Run: run, Conn: func() (*nftconn.Conn, error) { return conn, nil }})
	k.at = k.filter.readings.generation()
	k.ours, k.sweeps = k.at, k.at
	return k, nil
}

// Close ends it.
func (k *Keeper) Close() { k.conn.Close() }

// Take takes in a transaction, of whomever: each has a generation.
func (k *Keeper) Take(c Change) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due, k.swept = k.due || c.Ours, k.swept || c.Swept
	if c.Ours {
		k.ours = c.Generation
		k.behind = k.behind || after(c.Generation, k.knows)
	}
	if c.Swept {
		k.sweeps = c.Generation
	}
	for _, f := range families() {
		for table, rules := range k.held[f.program] {
			for _, name := range c.Gone {
				if chain, is := strings.CutPrefix(name, f.title(table)+" "); is {
					delete(rules.chains, chain)
				}
			}
		}
	}
	k.at = c.Generation
	close(k.caught)
	k.caught = make(chan struct{})
}

// Forget makes it know nothing, because the kernel's words were lost.
func (k *Keeper) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held, k.due, k.swept = nil, true, false
	k.at = k.filter.readings.generation()
	k.ours = k.at
}

// Accept takes what there is now for what there should be: somebody means it.
func (k *Keeper) Accept() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due, k.swept = true, false
}

// mended is Accept, where nobody has swept anything away since the generation that was read. What ours have changed by now they did under our lock, to mend.
func (k *Keeper) mended(read uint32) {
	now := k.filter.readings.generation()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due, k.swept = true, k.swept && after(k.sweeps, read)
	k.knows, k.behind = now, false
}

// lags says whether ours have changed something that was not read before others swept it away.
func (k *Keeper) lags() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.behind
}

// Learn reads what there is, if ours have changed anything since, and nobody else has. At first it is asked who may be known: of others a verb that began before may
// be at work. It says whether that was so, and it knows something now.
func (k *Keeper) Learn(ctx context.Context, known func(owner.ID) bool) (first bool, err error) {
	k.mu.Lock()
	first, wanted := k.held == nil, k.due && !k.swept
	k.mu.Unlock()
	if !wanted {
		return false, nil
	}
	lock, err := k.filter.lock(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	now, generation, err := k.settled(ctx)
	if err != nil {
		return false, err
	}
	for _, s := range now {
		for _, e := range entriesOf(s["raw"]) {
			if first && !known(e.ID) {
				delete(s["raw"].chains, ledgerChain(e.Owner, e.role))
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.swept {
		return false, nil
	}
	k.held, k.due, k.knows, k.behind = now, false, generation, false
	return first, nil
}

// Others wait for our lock meanwhile.
const (
	patience = time.Second      // how long is waited for the kernel's word about what was read already
	slowest  = 10 * time.Second // how long the tools may take until they have read what nobody changes meanwhile: on a busy host a run takes a second
)

// settled reads the families as they are at a generation after which neither ours nor others have changed anything, as far as is told: so whose change it was is known of all
// that it reads. What is told late, of that generation or one before, is in it.
func (k *Keeper) settled(ctx context.Context) (now map[string]sheet, generation uint32, err error) {
	ctx, stop := context.WithTimeout(ctx, slowest)
	defer stop()
	for {
		now, generation, err = k.read(ctx)
		if err == nil {
			err = k.reach(ctx, generation)
		}
		if err != nil || !k.changed(generation) {
			return now, generation, err
		}
	}
}

// changed says whether ours or others have changed something after the generation.
func (k *Keeper) changed(generation uint32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return after(k.ours, generation) || after(k.sweeps, generation)
}

// after says whether one generation is later than another: they begin anew when they are used up.
func after(one, other uint32) bool { return int32(one-other) > 0 }

// reach waits until all transactions up to the generation were told of.
func (k *Keeper) reach(ctx context.Context, generation uint32) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		k.mu.Lock()
		there, more := !after(generation, k.at), k.caught
		k.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return errors.New("iptables: the kernel does not tell what changed")
		}
	}
}

// read reads the families that have tables, each by one run of the tool.
func (k *Keeper) read(ctx context.Context) (all map[string]sheet, generation uint32, err error) {
	readings := &k.filter.readings
	for {
		all = make(map[string]sheet)
		before := readings.generation()
		for _, f := range families() {
			t, err := k.filter.find(ctx, f, onNFT)
			if err != nil {
				continue // without a tool nothing here could have made anything
			}
			if all[f.program], err = t.sheet(ctx); err != nil {
				return nil, 0, err
			}
		}
		if after := readings.generation(); after == before {
			return all, after, ctx.Err()
		}
	}
}

// keptTables are those that have something of ours, in the order in which they are written.
func keptTables() []string { return []string{"raw", "nat", "filter"} }

// sheet reads the family. Where none of its tables is there the tool is not run, since that would make them.
func (t *tool) sheet(ctx context.Context) (sheet, error) {
	s := make(sheet)
	for _, name := range keptTables() {
		if t.readings.have(t.table(name)) {
			s[name] = nil
		}
	}
	if len(s) == 0 {
		return s, nil
	}
	text, err := output(ctx, exec.CommandContext(ctx, t.save))
	if err != nil {
		return nil, err
	}
	for name := range s {
		_, after, printed := strings.Cut("\n"+text, "\n*"+name+"\n")
		if !printed {
			return nil, fmt.Errorf("%s: table %s: iptables lists nothing of it", t.program, name)
		}
		after, _, _ = strings.Cut(after, "\nCOMMIT\n")
		s[name] = parse(after + "\n")
	}
	return s, nil
}

// title is a table's name as nft(8) has it.
func (f family) title(table string) string {
	if f.is4 {
		return "ip " + table
	}
	return "ip6 " + table
}

// entriesOf reads the ledgers.
func entriesOf(raw *ruleset) []entry {
	if raw == nil {
		return nil
	}
	s := state{raw: raw}
	s.readLedgers()
	return s.entries
}

// host is the address as a rule has it.
func host(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// addressOfRule is the one that a rule is about; the zero Addr where it is none.
func addressOfRule(rule string) (a netip.Addr) {
	for _, option := range []string{"-s", "-d"} {
		if p, err := netip.ParsePrefix(value(rule, option)); err == nil && p.IsSingleIP() {
			a = p.Addr()
		}
	}
	return a
}
