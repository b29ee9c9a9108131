package iptables

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// state is one family as it was read, and what is to be written to it. Both tables of a family are committed one after the other: the
// ledger before what it tells of when something is made, and after it when something goes, so that a kill in between leaves
// nothing that nobody knows of.
type state struct {
	*tool
	raw, nat     *ruleset
	filter       *ruleset // in place of nat, for the role Forward
	entries      []entry
	toRaw, toNAT []string
	toFilter     []string
	going        []string // rules that toNAT deletes
	differences  []string // for people
	answers      map[owner.ID]bool
	dead         func(firewall.Holder) bool // who is dead; nil: nobody
	renewed      bool                       // the owner's ledger changes
	several      int                        // what all claims of the owner want together, where he has more than one
	firm         bool                       // he has no other: what of his leads elsewhere, or is not wanted, is a difference
	hidden       []string                   // ports that lead elsewhere by an earlier claim of his
	unasked      bool                       // he has more than all his claims want, and no one of them can tell what
	joins        bool                       // entries that lead to the owner's chain stay: some are another claim's, under other conditions
	masks        bool                       // ports of the claim, be it of the other family, need their clients masqueraded
	gone         Gone                       // nil: nobody
}

// entry is one line of the ledger: the owner has the address, in the role.
type entry struct {
	firewall.Holder
	role firewall.Role
	addr netip.Addr
}

// blind is an error where iptables lists nothing of a table in which it can write: neither CHECK nor DEL would find what an ADD has made.
func (s *state) blind() error {
	for name, table := range map[string]*ruleset{"raw": s.raw, "nat": s.nat} {
		if table.foreign {
			return fault.New(fault.Unsupported, "move what nft wrote there into a table of its own, or choose the backend nftables",
				"%s: table %s: has rules that are not in the words of iptables, so that it lists none", s.program, name)
		}
	}
	return nil
}

// Ready says whether the tool is there, and can read the two tables. A host may do without that for IPv6: who has such an address there is refused.
func (f *Filter) Ready(ctx context.Context) error {
	for _, family := range families() {
		t, err := f.find(ctx, family, "")
		if fault.Code(err) == fault.Unsupported && !family.is4 {
			continue
		}
		if err == nil {
			err = t.ready(ctx)
		}
		if err != nil {
			return fault.New(fault.NoService, "install iptables, load the kernel's modules for it, or choose the backend nftables", "packet filter: %w", err)
		}
	}
	return nil
}

// ready says whether the tool can read all that it can write.
func (t *tool) ready(ctx context.Context) error {
	s, err := t.load(ctx)
	if err != nil {
		return err
	}
	return s.blind()
}

// load reads the family.
func (t *tool) load(ctx context.Context) (*state, error) {
	s := &state{tool: t, answers: make(map[owner.ID]bool)}
	var err error
	if s.raw, s.nat, err = t.both(ctx); err != nil {
		return nil, err
	}
	s.readLedgers()
	return s, nil
}

// readLedgers reads who has what.
func (s *state) readLedgers() {
	for _, name := range s.raw.names {
		if strings.HasPrefix(name, ledgerPrefix) {
			s.entries = append(s.entries, readEntries(name, s.raw.chains[name])...)
		}
	}
}

// readEntries reads the ledger of one owner.
func readEntries(chain string, rules []string) (list []entry) {
	life := ""
	for _, rule := range rules {
		if text, found := strings.CutPrefix(value(rule, "--comment"), firewall.LifeSign); found {
			life = text
		}
	}
	for _, rule := range rules {
		o, ours := owner.Parse(value(rule, "--comment"))
		e := entry{Holder: firewall.Holder{Owner: o, Linked: value(rule, "-i") != "", Life: life}, role: firewall.Masquerade}
		addr := value(rule, "-s")
		if addr == "" {
			e.role, addr = firewall.Publish, value(rule, "-d")
		}
		if ledgerChain(o, firewall.Forward) == chain {
			e.role = firewall.Forward
		}
		p, err := netip.ParsePrefix(addr)
		if !ours || err != nil || ledgerChain(o, e.role) != chain {
			continue
		}
		e.addr = p.Addr()
		list = append(list, e)
	}
	return list
}

// ledger returns the rules of an owner's ledger for the claim.
func (s *state) ledger(o owner.Owner, n names, c firewall.Claim) (rules []string) {
	option, link := "-s ", ""
	if c.Role == firewall.Publish {
		option = "-d "
	}
	if c.Linked {
		link = " -i " + o.HostLink()
	}
	for _, a := range addrs(c) {
		rules = append(rules, option+s.host(a)+link+" "+comment(n.tag(o)))
	}
	if c.Life != "" && !c.Linked && c.Role.Shared() {
		rules = append(rules, comment(firewall.LifeSign+c.Life))
	}
	if s.several > 0 {
		rules = append(rules, comment(severalSign+strconv.Itoa(s.several)))
	}
	if c.Role.Shared() {
		return s.besides(ledgerChain(o, c.Role), rules)
	}
	return rules
}

// addressOf says whether the ledger has the address as the owner's.
func (s *state) addressOf(o owner.Owner, r firewall.Role, a netip.Addr) bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool { return e.ID == o.ID && e.role == r && e.addr == a })
}

// holder returns who has the address in the role with the chain, by the ledger. Two containers of two networks may have one address.
func (s *state) holder(r firewall.Role, chain string, a netip.Addr) (firewall.Holder, bool) {
	for _, e := range s.entries {
		if e.role != r || e.addr != a {
			continue
		}
		if n, ok := namesOf(e.Owner); ok && n.chain(r) == chain {
			return e.Holder, true
		}
	}
	return firewall.Holder{}, false
}

// gives says whether the holder is dead, so that what it has may be taken, or the error that it is not. It asks once about each.
func (s *state) gives(h firewall.Holder, title string) error {
	dead, known := s.answers[h.ID]
	if !known && s.dead != nil {
		dead = s.dead(h)
		s.answers[h.ID] = dead
	}
	if dead {
		return nil
	}
	return firewall.HeldBy(title, h.Text)
}

// leadsTo says whether the chain publishes a port of the address.
func (s *state) leadsTo(chain string, a netip.Addr) bool {
	return slices.ContainsFunc(s.nat.mappings(chain), func(m mapping) bool { return m.target.Addr() == a })
}

// lacks says whether anything is to be written.
func (s *state) lacks() bool { return len(s.toRaw)+len(s.toNAT)+len(s.toFilter) > 0 }

// lacking is what is not as it should be, if that is to be mended.
func (s *state) lacking() []string {
	if s.lacks() || s.unasked {
		return s.differences
	}
	return nil
}

// differs notes for people what is not as it should be.
func (s *state) differs(text string) { s.differences = append(s.differences, text) }

// rewrite makes a chain have exactly these rules: declared again, a chain is emptied (iptables-restore(8), --noflush).
func rewrite(r *ruleset, out *[]string, chain string, rules []string) (changed bool) {
	if r.has(chain) && slices.Equal(r.chains[chain], rules) {
		return false
	}
	*out = append(*out, ":"+chain+" - [0:0]")
	for _, rule := range rules {
		*out = append(*out, "-A "+chain+" "+rule)
	}
	return true
}

// dissolve removes a chain, to which nothing may lead any more.
func dissolve(r *ruleset, out *[]string, chain string) {
	if r.has(chain) {
		*out = append(*out, "-F "+chain, "-X "+chain)
	}
}

// cut deletes a rule of the table nat.
func (s *state) cut(chain, rule string) {
	s.toNAT = append(s.toNAT, "-D "+chain+" "+rule)
	s.going = append(s.going, rule)
}

// made carries out what makes; removed what removes. Both are called under the lock.
func (s *state) made(ctx context.Context, lock *os.File) error {
	return s.write(ctx, lock, lines{"raw", s.toRaw}, lines{"nat", s.toNAT})
}

func (s *state) removed(ctx context.Context, lock *os.File) error {
	return s.write(ctx, lock, lines{"nat", s.toNAT}, lines{"raw", s.toRaw})
}
