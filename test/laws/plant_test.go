package laws_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/step"
	"github.com/trestle-cni/trestle/plugins/chain"
	"github.com/trestle-cni/trestle/test/laws"
	"github.com/trestle-cni/trestle/test/nstest"
)

// plants are faults of the kinds that the laws are there to find, and the words in which the law must complain.
func plants() []plant {
	return []plant{
		{"undo-nothing", "1-restore", "ADD and DEL: the state is not as it was", on(func(s step.Claim) plan.Step { return deaf(s) })},
		{"made-in-secret", "2-fault", "the state is not as it was", on(func(s step.Veth) plan.Step { return secret(s) })},
		{"see-nothing", "3-drift", "undone, and CHECK says: <nil>", on(func(s step.Routes) plan.Step { return blind(s) })},
		{"see-things", "3-drift", "after ADD: CHECK", on(func(s step.Addresses) plan.Step { return alarmed(s) })},
		{"make-again", "4-twice", "created something again", on(func(s step.Veth) plan.Step { return proud(s) })},
		{"forget-the-guard", "4-twice", "second ADD", on(func(s step.Claim) plan.Step { return mute{s} })},
		{"need-the-container", "5-bare", "the host is not as it was", on(func(s step.Claim) plan.Step { return homesick(s) })},
		{"undo-what-is-known", "6-kill", "DEL: the state is not as it was", on(learned)},
		{"keep-no-books", "6-kill", "exists already, with link", bookless}, // on a network without addresses: what is reserved is in books, too
		{"leave-out", "7-kinds", "step.Addresses", forgetful},
		{"stand-no-company", "8-together", " ADDs at the same time: ADD of bridge: veth", elsewhere},
		{"draw-again", "9-fixed-point", "MAC", on(func(s step.Veth) plan.Step { return restless(s) })},
		{"mind-the-input", "12-refused", "DEL of bridge: veth", on(func(s step.Veth) plan.Step { return stubborn(s) })},
		{"undo-the-plan", "13-other", "the state is not as it was", on(func(s step.Claim) plan.Step { return deaf(s) })},
		{"mend-the-dead", "10-mend", "whose link is gone", unaware},
	}
}

type plant struct {
	name, law, complaint string
	fault                laws.Rewrite
}

// TestPlants plants a fault for each law and wants the law to find it. A law that cannot fail says nothing.
func TestPlants(t *testing.T) {
	for _, p := range plants() {
		t.Run(p.law+"/"+p.name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				network := everything(t)
				if p.name == "keep-no-books" {
					network = wire(t)
				}
				w := world(t, network)
				w.Plant = p.fault
				w.Settle()
				all := laws.Laws()
				law := all[slices.IndexFunc(all, func(l laws.Law) bool { return l.Name == p.law })]
				if err := law.Holds(w); err == nil || !strings.Contains(err.Error(), p.complaint) {
					t.Errorf("the law says %v, which has no %q in it", err, p.complaint)
				}
			})
		})
	}
}

// TestPlantInList plants a plugin that does not delete into a list of plugins, in which the one after it fails.
func TestPlantInList(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		list, err := laws.ReadList("../../conf/61-node-one.conflist")
		must(t, err)
		w := world(t, list)
		kind := w.Kinds[chain.Name]
		deaf := kind.Parts["bridge"]
		deaf.With = func(r laws.Rewrite) plugin.Bundle {
			p := kind.Parts["bridge"].With(r)["bridge"]
			p.Del = func(context.Context, *plugin.Request) error { return nil }
			return plugin.Bundle{"bridge": p}
		}
		parts := maps.Clone(kind.Parts)
		parts["bridge"] = deaf
		w.Kinds[chain.Name] = laws.List(chain.Plugin(), parts)
		w.Settle()
		if err := laws.Fault(w); err == nil || !strings.Contains(err.Error(), "fault at step 0 (ports on 127.0.0.1") || !strings.Contains(err.Error(), "not as it was") {
			t.Errorf("the law says %v", err)
		}
	})
}

// everything is a chain with every kind of step that needs no VLANs.
func everything(t *testing.T) laws.Chain {
	t.Helper()
	chain, err := laws.ReadConfig("../../plugins/portmap/testdata/config/every-key.json", foundation(t))
	must(t, err)
	return chain
}

// wire is a network that has no addresses.
func wire(t *testing.T) laws.Chain {
	t.Helper()
	chain, err := laws.ReadConfig("../../plugins/bridge/testdata/config/wire.json", foundation(t))
	must(t, err)
	return chain
}

// TestWrapped shows that what a step is besides shines through a wrapper.
func TestWrapped(t *testing.T) {
	for _, s := range []plan.Step{step.Bridge{}, step.Gateway{}, step.Localhost{}, step.Localhost6{}, step.Tables{}, step.Veth{}, step.Claim{}, step.Addresses{},
		step.Up{}, step.Routes{}, step.Announce{}} {
		if plain, through := faces(s), faces(laws.Wrapped{Step: s}); plain != through {
			t.Errorf("%T is %s, wrapped %s", s, plain, through)
		}
	}
	if got := faces(step.Veth{}); got != "guarded true ledger true readied false carrier true inner false" {
		t.Errorf("veth is %s", got)
	}
}

func faces(s plan.Step) string {
	_, guarded := plan.As[plan.Guarded](s)
	_, ledger := plan.As[plan.Ledger](s)
	_, readied := plan.As[plan.Readied](s)
	_, carrier := plan.As[plan.Carrier](s)
	_, inner := plan.As[plan.Inner](s)
	return fmt.Sprintf("guarded %v ledger %v readied %v carrier %v inner %v", guarded, ledger, readied, carrier, inner)
}

// on changes the steps of one type.
func on[S plan.Step](change func(S) plan.Step) laws.Rewrite {
	replace := func(list []plan.Step) []plan.Step {
		list = slices.Clone(list)
		for i, s := range list {
			if s, ok := s.(S); ok {
				list[i] = change(s)
			}
		}
		return list
	}
	return func(p plan.Plan) plan.Plan {
		p.Ground, p.Steps = replace(p.Ground), replace(p.Steps)
		return p
	}
}

// deaf does not undo.
func deaf(s plan.Step) plan.Step {
	return laws.Wrapped{Step: s, OnUndo: func(context.Context, *site.Site) error { return nil }}
}

// learned undoes only what a result names.
func learned(c step.Claim) plan.Step {
	if c.Known {
		return c
	}
	return deaf(c)
}

// stubborn fails where it should undo, if nothing is there.
func stubborn(s step.Veth) plan.Step {
	return laws.Wrapped{Step: s, OnUndo: func(ctx context.Context, at *site.Site) error {
		if _, err := at.Host.LinkByName(s.Owner.HostLink()); err != nil {
			return err
		}
		return s.Undo(ctx, at)
	}}
}

// secret does not say what it created.
func secret(s plan.Step) plan.Step {
	return laws.Wrapped{Step: s, OnApply: func(ctx context.Context, at *site.Site) (bool, error) {
		_, err := s.Apply(ctx, at)
		return false, err
	}}
}

// proud says that it created something whenever it is called.
func proud(s plan.Step) plan.Step {
	return laws.Wrapped{Step: s, OnApply: func(ctx context.Context, at *site.Site) (bool, error) {
		_, err := s.Apply(ctx, at)
		return true, err
	}}
}

// blind verifies nothing.
func blind(s plan.Step) plan.Step {
	return laws.Wrapped{Step: s, OnVerify: func(context.Context, *site.Site) error { return nil }}
}

// alarmed finds that nothing is as it was made.
func alarmed(s plan.Step) plan.Step {
	return laws.Wrapped{Step: s, OnVerify: func(context.Context, *site.Site) error { return errors.New("alarm") }}
}

// homesick undoes only where there is a container.
func homesick(s plan.Step) plan.Step {
	return laws.Wrapped{Step: s, OnUndo: func(ctx context.Context, at *site.Site) error {
		if at.Container == nil {
			return nil
		}
		return s.Undo(ctx, at)
	}}
}

// mute hides what the step is besides: its guard, its books.
type mute struct{ plan.Step }

// unlisted is a step whose owners nobody is told of.
type unlisted struct{ laws.Wrapped }

func (unlisted) Owners(context.Context, *site.Site, [8]byte) ([]firewall.Holder, error) {
	return nil, nil
}

// bookless makes a plan that tells nobody whose anything is.
func bookless(p plan.Plan) plan.Plan {
	claims := on(func(s step.Claim) plan.Step { return unlisted{laws.Wrapped{Step: s}} })
	return claims(on(func(s step.Veth) plan.Step { return unlisted{laws.Wrapped{Step: s}} })(p))
}

// unaware minds no link that is gone: not that of the pair, nor that to be guarded.
func unaware(p plan.Plan) plan.Plan {
	guards := on(func(s step.Guard) plan.Step {
		return laws.Wrapped{Step: s, OnApply: func(ctx context.Context, at *site.Site) (bool, error) {
			if _, err := at.Host.LinkByName(s.Host); err != nil {
				return false, nil
			}
			return s.Apply(ctx, at)
		}}
	})
	return guards(on(func(s step.Veth) plan.Step { return blind(s) })(p))
}

// restless draws a MAC for each plan.
func restless(v step.Veth) plan.Step {
	v.MAC = make([]byte, 6)
	_, _ = rand.Read(v.MAC) // never fails, crypto/rand
	return v
}

// forgetful leaves out the addresses where no result is known.
func forgetful(p plan.Plan) plan.Plan {
	if p.Result == nil || len(p.Result.IPs) == 0 {
		p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(s plan.Step) bool { _, ok := s.(step.Addresses); return ok })
	}
	return p
}

// lonely returns the rewrite of a plugin that cannot be at work while another process is. Its lock ends with the process.
func lonely() (laws.Rewrite, error) {
	fd, err := unix.Open("/run/lonely", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = unix.Flock(fd, unix.LOCK_SH)
	}
	return on(func(v step.Veth) plan.Step {
		return laws.Wrapped{Step: v, OnApply: func(ctx context.Context, s *site.Site) (bool, error) {
			if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
				return false, fmt.Errorf("company: %w", err)
			}
			return v.Apply(ctx, s)
		}}
	}), err
}

// elsewhere stands for a fault that is planted in other processes.
func elsewhere(p plan.Plan) plan.Plan { return p }
