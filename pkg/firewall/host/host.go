// Package host is the packet filter of a host on which there may be more than one: the backend that a configuration chose, and what
// was made by another, because the choice was changed, or because the reference suite made it.
//
// What makes and what looks goes to the chosen backend. What removes goes to all, so that a DEL leaves nothing whichever backend the ADD had, and
// fails for none that is absent. Each tells with one or two requests to the kernel that it has nothing, and runs no program for that.
package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/iptables"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/firewall/reference"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Choice is what a configuration says of the backend.
type Choice struct {
	Backend  Backend
	IPTables iptables.Options // without Link, which is set here
	Zone     string           // of firewalld
	Results  string           // directory of the runtimes' cached results; empty: /var/lib/cni/results
	Run      string           // directory of what need not outlive a boot; empty: iptables.Run
}

// Backend is a packet filter by the name that configurations have for it.
type Backend string

// The backends. Without a choice it is nftables, or iptables where the kernel has no nf_tables.
const (
	Unchosen Backend = ""
	NFTables Backend = "nftables"
	IPTables Backend = "iptables"

	// FirewallD is for the role Forward alone: its addresses are sources of a zone, and whose they are stands in the filter that is no choice.
	FirewallD Backend = "firewalld"
)

// Parse reads a configuration's choice under the key: nftables, iptables, or one that the plugin has beside these.
func Parse(k *keys.Object, key string, more ...Backend) Backend {
	if !k.Has(key) {
		return Unchosen
	}
	b := Backend(k.String(key, ""))
	if all := append([]Backend{NFTables, IPTables}, more...); !slices.Contains(all, b) {
		k.Reject(key, b, "must be "+listed(all))
	}
	return b
}

// listed names the backends, with an or before the last.
func listed(all []Backend) (text string) {
	for i, b := range all {
		switch {
		case i > 0 && i == len(all)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += string(b)
	}
	return text
}

// Filter is the packet filter of the process's network namespace.
type Filter struct {
	choice   Choice
	nft      *nft.Filter
	iptables *iptables.Filter
	chosen   firewall.Filter // nil until it is asked for
	seen     holdings
}

var _ firewall.Filter = (*Filter)(nil)

// Open returns the filter. Nothing is opened before it is asked something.
func Open(c Choice) *Filter {
	if c.Results == "" {
		c.Results = cache.Dir
	}
	if c.Run == "" {
		c.Run = iptables.Run
	}
	f := &Filter{choice: c, nft: nft.Open().Remember(c.Run)}
	c.IPTables.Link = frames{f.nft, f}
	c.IPTables.Gone, c.IPTables.Conn, c.IPTables.Run = f.gone, f.nft.Conn, c.Run
	f.iptables = iptables.Open(c.IPTables)
	return f
}

// Close closes both backends.
func (f *Filter) Close() error { return f.nft.Close() } // which the other shares for frames, and needs no closing itself

// Forget says that what is dropped from now on was there before, as for who has just taken its owner's lock: which tables there are is looked at once.
func (f *Filter) Forget() {
	f.seen = holdings{}
	f.nft.Forget()
}

// Leave has both backends leave things as they are.
func (f *Filter) Leave(left firewall.Left) {
	f.nft.Leave(left)
	f.iptables.Leave(left)
}

// choose returns the backend by which things are made.
func (f *Filter) choose(ctx context.Context) firewall.Filter {
	if f.chosen != nil {
		return f.chosen
	}
	f.chosen = f.nft
	if f.choice.Backend == IPTables || f.choice.Backend == Unchosen && lacks(f.nft.Ready(ctx)) {
		f.chosen = f.iptables
	}
	return f.chosen
}

// lacks says whether the error means that the kernel has no nf_tables; not so when it only does not let us.
func lacks(err error) bool {
	return fault.Code(err) == fault.NoService && !errors.Is(err, unix.EPERM)
}

// Ground is the chosen backend's.
func (f *Filter) Ground(ctx context.Context) error { return f.choose(ctx).Ground(ctx) }

// Grounded is the chosen backend's.
func (f *Filter) Grounded(ctx context.Context) error { return f.choose(ctx).Grounded(ctx) }

// Unground is both backends'.
func (f *Filter) Unground(ctx context.Context) error { return f.iptables.Unground(ctx) } // who hands it on to the other

// Hold is the chosen backend's, once it is sure that nobody has the ports under another. Iptables looks at its constant part with the rest; nft's own
// Hold makes what is missing of it, but a claim would be in vain in tables that somebody emptied.
func (f *Filter) Hold(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (bool, error) {
	f.seen = holdings{}
	if err := f.elsewhere(ctx, o, c, dead); err != nil {
		return false, err
	}
	if c.Role == firewall.Forward {
		return f.pass(ctx, o, c, dead)
	}
	chosen := f.choose(ctx)
	if chosen == firewall.Filter(f.nft) && len(c.Masq)+len(c.Ports) > 0 { // the table for frames is no part of every host's
		if err := f.nft.Ground(ctx); err != nil {
			return false, err
		}
	}
	return chosen.Hold(ctx, o, c, dead)
}

// Ward is nft's, whatever the choice: frames are its alone.
func (f *Filter) Ward(ctx context.Context) error { return f.nft.Ward(ctx) }

// Warded is nft's.
func (f *Filter) Warded(ctx context.Context) error { return f.nft.Warded(ctx) }

// Held is the chosen backend's. Where none of ours holds anything, and the reference made the attachment, it is as it was made if that suite's rules are
// in place.
func (f *Filter) Held(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	if c.Role == firewall.Forward {
		return f.passes(ctx, o, c)
	}
	return f.orOthers(ctx, o, c, f.choose(ctx).Held(ctx, o, c))
}

// orOthers is how a claim is held that is not as ours is: who has nothing of ours may have it of the reference.
func (f *Filter) orOthers(ctx context.Context, o owner.Owner, c firewall.Claim, drifted error) error {
	if fault.Code(drifted) != fault.Drift {
		return drifted
	}
	switch held, err := f.holdsAlike(ctx, o, c.Role); {
	case err != nil:
		return err // whose the rules are is not known
	case held && !f.outdated(ctx, o, c.Role):
		return drifted
	case c.Role == firewall.Isolate:
		return nil // the reference makes nothing of it
	}
	missing, made, err := reference.Held(f.nft.Conn, o, c)
	if err == nil && !made && !c.Role.Frames() {
		missing, made, err = f.iptables.Like(ctx, o, c)
	}
	if err == nil && !made {
		missing, made, err = f.likeEntered(ctx, c)
	}
	switch {
	case err != nil || made && len(missing) == 0:
		return err
	case !made:
		return drifted
	}
	return fault.New(fault.Drift, "delete the attachment and add it again", "packet filter, as another suite of plugins made it: %s", strings.Join(missing, "; "))
}

// outdated says whether all that the owner holds of ours is of a link that is gone. The reference, which knows nothing of it, may have deleted what it was about,
// and made the attachment again; its rules come before ours, and what is left of them is about an address that the container does not have. A GC takes it away.
func (f *Filter) outdated(ctx context.Context, o owner.Owner, r firewall.Role) bool {
	holders, err := f.Holdings(ctx, o, r)
	return err == nil && len(holders) > 0 && absent(o.HostLink()) && !slices.ContainsFunc(holders, func(h firewall.Holder) bool { return !h.Linked })
}

// holdsAlike says whether the owner holds anything of ours that one plugin claims.
func (f *Filter) holdsAlike(ctx context.Context, o owner.Owner, r firewall.Role) (bool, error) {
	held, err := f.Holds(ctx, o, r)
	if err == nil && !held && r == firewall.Isolate {
		return f.Holds(ctx, o, firewall.Forward)
	}
	return held, err
}

// Drop drops the claim under both backends, and what the reference made of it.
func (f *Filter) Drop(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	f.seen = holdings{}
	if c.Role == firewall.Forward {
		return f.unpass(ctx, o, c)
	}
	return fault.Join(f.tolerant(ctx, f.nft.Drop(ctx, o, c)), f.others(ctx, o, c), reference.Remove(ctx, f.nft.Conn, o, c))
}

// others drops the claim under iptables. Frames are nft's alone.
func (f *Filter) others(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	if c.Role.Frames() {
		return nil
	}
	return f.iptables.Drop(ctx, o, c)
}

// tolerant takes the absence of nf_tables for what it is: nothing is held there.
func (f *Filter) tolerant(ctx context.Context, err error) error {
	if fault.Code(err) == fault.Unsupported && lacks(f.nft.Ready(ctx)) {
		return nil
	}
	return err
}

// frames is the packet filter for frames, which need not be there to be swept.
type frames struct {
	*nft.Filter
	host *Filter
}

// Unground is nft's.
func (f frames) Unground(ctx context.Context) error {
	return f.host.tolerant(ctx, f.Filter.Unground(ctx))
}

// Ready asks the chosen backend.
func (f *Filter) Ready(ctx context.Context) error {
	if err := f.choose(ctx).Ready(ctx); err != nil {
		return &fault.Error{Code: fault.NoService, Hint: fault.Hint(err), Err: fmt.Errorf("backend: %w", err)}
	}
	return nil
}
