package laws_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
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
		{name: "undo-nothing", law: "1-restore", complaint: "ADD and DEL: the state is not as it was", fault: on(func(s step.Claim) plan.Step { return deaf(s) })},
		{name: "made-in-secret", law: "2-fault", complaint: "the state is not as it was", fault: on(func(s step.Veth) plan.Step { return secret(s) })},
		{name: "see-nothing", law: "3-drift", complaint: "undone, and CHECK says: <nil>", fault: on(func(s step.Routes) plan.Step { return blind(s) })},
		{name: "see-things", law: "3-drift", complaint: "after ADD: CHECK", fault: on(func(s step.Addresses) plan.Step { return alarmed(s) })},
		{name: "make-again", law: "4-twice", complaint: "created something again", fault: on(func(s step.Veth) plan.Step { return proud(s) })},
		{name: "forget-the-guard", law: "4-twice", complaint: "second ADD", fault: on(func(s guarded) plan.Step { return mute{s} }), network: unreserved},
		{name: "need-the-container", law: "5-bare", complaint: "the host is not as it was", fault: on(func(s step.Claim) plan.Step { return homesick(s) })},
		{name: "undo-what-is-known", law: "6-kill", complaint: "DEL: the state is not as it was", fault: on(learned)},
		{name: "keep-no-books", law: "6-kill", complaint: "GC: the state is not as it was", fault: bookless, network: unreserved}, // what is reserved is in books, too
		{name: "leave-out", law: "7-kinds", complaint: "step.Addresses", fault: forgetful},
		{name: "stand-no-company", law: "8-together", complaint: " ADDs at the same time: ADD of bridge: veth", fault: elsewhere},
		{name: "draw-again", law: "9-fixed-point", complaint: "MAC", fault: on(func(s step.Veth) plan.Step { return restless(s) })},
		{name: "mind-the-input", law: "12-refused", complaint: "DEL of bridge: veth", fault: on(func(s step.Veth) plan.Step { return stubborn(s) })},
		{name: "undo-the-plan", law: "13-other", complaint: "the state is not as it was", fault: on(func(s step.Claim) plan.Step { return deaf(s) })},
		{name: "mend-the-dead", law: "10-mend", complaint: "whose link is gone", fault: unaware},
	}
}

type plant struct {
	name, law, complaint string
	fault                laws.Rewrite
	network              func(*testing.T) laws.Chain // nil: everything
}

// TestPlants plants a fault for each law and wants the law to find it. A law that cannot fail says nothing.
func TestPlants(t *testing.T) {
	for _, p := range plants() {
		t.Run(p.law+"/"+p.name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				network := everything
				if p.network != nil {
					network = p.network
				}
				w := world(t, network(t))
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

// unreserved is a network whose addresses are nobody's to keep: what a GC finds, it finds by the attachment itself.
func unreserved(t *testing.T) laws.Chain {
	t.Helper()
	config := foundation(t)
	config["ipam"] = json.RawMessage(`{"type": "static", "addresses": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`)
	chain, err := laws.ReadConfig("../../plugins/portmap/testdata/config/every-key.json", config)
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
	if got := faces(step.Veth{}); got != "guarded true ledger true readied true carrier true inner false" {
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

// guarded is a step that looks before anything is touched.
type guarded interface {
	plan.Step
	plan.Guarded
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
