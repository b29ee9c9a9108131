package nft

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// versionOf returns the version in the comment of a map of attachments, 0 if there is none.
func versionOf(s *nftables.Set) int {
	text, _ := strings.CutPrefix(s.Comment, mark)
	text, _, _ = strings.Cut(text, " ")
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// drift lists what Ground would change in the table.
func (f *Filter) drift(t *table) ([]string, error) {
	tables, err := f.conn.ListTablesOfFamily(t.Family)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tables, func(other *nftables.Table) bool { return other.Name == t.Name })
	if i < 0 && f.left.Has(t.named().Whole()) {
		return nil, nil
	}
	if err := f.spare(t); err != nil {
		return nil, err
	}
	if i < 0 {
		return []string{fmt.Sprintf("table %s: expected, found none", t)}, nil
	}
	var drift []string
	if tables[i].Flags&nftables.TableFlagDormant != 0 {
		drift = append(drift, fmt.Sprintf("table %s: expected active, found dormant", t))
	}
	sets, err := f.setDrift(t)
	if err != nil {
		return nil, err
	}
	chains, err := f.chainDrift(t)
	return slices.Concat(drift, sets, chains), err
}

// setDrift compares the sets, and the version.
func (f *Filter) setDrift(t *table) (drift []string, err error) {
	found, err := f.conn.GetSets(t.Table)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	for _, want := range t.sets {
		i := slices.IndexFunc(found, func(s *nftables.Set) bool { return s.Name == want.Name })
		switch {
		case i < 0:
			drift = append(drift, fmt.Sprintf("table %s: set %s: expected, found none", t, want.Name))
		case describe(want) != describe(found[i]):
			drift = append(drift, fmt.Sprintf("table %s: set %s: expected %s, found %s", t, want.Name, describe(want), describe(found[i])))
		case want.Name == attachments && versionOf(found[i]) != version:
			drift = append(drift, fmt.Sprintf("table %s: expected version %d, found %d", t, version, versionOf(found[i])))
		}
	}
	return drift, nil
}

// describe puts what makes a set what it is into the words of nft(8).
func describe(s *nftables.Set) string {
	text := "type " + s.KeyType.Name
	if s.IsMap {
		text += " : " + s.DataType.Name
	}
	if s.Interval {
		text += " flags interval"
	}
	if s.HasTimeout {
		text += " flags timeout"
	}
	return text
}

// chainDrift compares the chains and their rules. A chain too many counts: it would see packets.
func (f *Filter) chainDrift(t *table) (drift []string, err error) {
	found, err := f.chainsOf(t)
	if err != nil {
		return nil, err
	}
	for _, want := range t.laid() {
		have := found[want.Name]
		delete(found, want.Name)
		if want.left {
			continue
		}
		if have == nil {
			drift = append(drift, fmt.Sprintf("table %s: chain %s: expected, found none", t, want.Name))
			continue
		}
		if a, b := hooked(&want.Chain), hooked(have); a != b {
			drift = append(drift, fmt.Sprintf("table %s: chain %s: expected %s, found %s", t, want.Name, a, b))
		}
		different, err := f.ruleDrift(t, want)
		if err != nil {
			return nil, err
		}
		drift = append(drift, different...)
	}
	for name, c := range found {
		if t.guests && c.Hooknum == nil {
			continue // the operator's
		}
		drift = append(drift, fmt.Sprintf("table %s: chain %s: found, expected none", t, name))
	}
	return drift, nil
}

// hooked says where a chain stands.
func hooked(c *nftables.Chain) string {
	if c.Hooknum == nil || c.Priority == nil || c.Policy == nil {
		return "no hook"
	}
	policy := map[nftables.ChainPolicy]string{nftables.ChainPolicyAccept: "accept", nftables.ChainPolicyDrop: "drop"}[*c.Policy]
	return fmt.Sprintf("type %s hook %d priority %d policy %s", c.Type, *c.Hooknum, *c.Priority, policy)
}

// ruleDrift names the first rule of a chain that differs.
func (f *Filter) ruleDrift(t *table, c *chain) ([]string, error) {
	if c.Name == conditionals {
		_, foreign, err := f.conditionalRules(t)
		if foreign > 0 {
			return []string{fmt.Sprintf("table %s: chain %s: found rules that are none of ours: %d", t, c.Name, foreign)}, err
		}
		return nil, err
	}
	if t.free(c.Name) {
		return nil, nil
	}
	found, err := f.conn.GetRules(t.Table, &c.Chain)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	for i, want := range c.rules {
		if i >= len(found) {
			return []string{fmt.Sprintf("table %s: chain %s: expected rule %q, found none", t, c.Name, want.text)}, nil
		}
		same, err := sameRule(byte(t.Family), want.exprs, found[i].Exprs)
		if err != nil {
			return nil, err
		}
		if !same {
			return []string{fmt.Sprintf("table %s: chain %s: expected rule %q, found another", t, c.Name, want.text)}, nil
		}
	}
	if more := len(found) - len(c.rules); more > 0 {
		return []string{fmt.Sprintf("table %s: chain %s: found rules too many: %d", t, c.Name, more)}, nil
	}
	return nil, nil
}

// sameRule compares rules as they are sent: what was read is encoded again, and what it has counted is left out.
func sameRule(family byte, a, b []expr.Any) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if counts(a[i]) && counts(b[i]) {
			continue
		}
		one, err1 := expr.Marshal(family, a[i])
		other, err2 := expr.Marshal(family, b[i])
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(one, other) {
			return false, err
		}
	}
	return true, nil
}

func counts(e expr.Any) bool {
	_, is := e.(*expr.Counter)
	return is
}
