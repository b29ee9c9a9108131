// Package reference reads, compares and removes what the nftables backends of the suite containernetworking/plugins leave (1.6 to 1.10), so that a node
// can change over with pods running. It never writes such rules. (What that suite's iptables backends leave has the same names as ours: see package
// iptables.)
//
// Of everything it looks first whether the table is there, by one request for the names of all tables, and makes none. Rules are recognised
// by their comments, which say for whom they were made, and deleted by their handles.
package reference

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/digest"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// names are those that make an attachment.
type names struct{ network, container, ifName string }

// namesOf returns the owner's names, and false when they are not known in full.
func namesOf(o owner.Owner) (n names, whole bool) {
	n.network, n.container, n.ifName, whole = o.Names()
	return n, whole
}

// attempts is how often a deletion is tried when somebody else was faster to delete a rule of the same batch.
const attempts = 5

// Connector returns a connection to the host's nf_tables, which its giver closes.
type Connector func() (*nftconn.Conn, error)

// Remove removes what the reference made for the owner in the claim's role. Absence is success. Where the reference does not say for which of a
// container's networks a rule is, those with one of the claim's addresses in them go, or all if the claim names none.
func Remove(ctx context.Context, open Connector, o owner.Owner, c firewall.Claim) error {
	n, whole := namesOf(o)
	if !whole {
		return nil // read from a tag of ours: the reference has nothing of it
	}
	conn, err := open()
	if err != nil {
		return nil // no nf_tables, nothing to remove
	}
	var failed error
	for range attempts {
		tables, err := conn.Tables()
		if err != nil {
			return without(err)
		}
		found, err := n.find(conn.Conn, tables, c) // of a table that went meanwhile nothing is left
		if err != nil || len(found.rules) == 0 && len(found.chains) == 0 {
			return err
		}
		if failed = found.remove(conn.Conn); failed == nil || !errors.Is(failed, unix.ENOENT) || ctx.Err() != nil {
			break
		}
	}
	if failed != nil {
		return fmt.Errorf("rules of the reference for %s: %w", o, failed)
	}
	return nil
}

// without returns nil for an error of the first request that means that the kernel has no nf_tables. (nfnetlink answers EINVAL for a
// subsystem that it does not have.)
func without(err error) error {
	for _, errno := range []unix.Errno{unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL} {
		if errors.Is(err, errno) {
			return nil
		}
	}
	return err
}

// remains are things to be removed together.
type remains struct {
	rules  []*nftables.Rule
	chains []*nftables.Chain
}

func (r remains) remove(conn *nftables.Conn) error {
	for _, rule := range r.rules {
		if err := conn.DelRule(rule); err != nil {
			return errors.Join(err, conn.Flush()) // the flush of a queue with an error empties it
		}
	}
	for _, chain := range r.chains {
		conn.DelChain(chain)
	}
	return conn.Flush()
}

// find looks through the tables of one role.
func (n names) find(conn *nftables.Conn, tables []*nftables.Table, c firewall.Claim) (found remains, err error) {
	for _, table := range tables {
		var some remains
		switch {
		case c.Role == firewall.Masquerade && table.Family == nftables.TableFamilyINet && table.Name == "cni_plugins_masquerade":
			some.rules, err = commented(conn, table, n.isMasq, "masq_checks")
		case c.Role == firewall.Publish && isHostport(table):
			some.rules, err = n.published(conn, table, c)
		case c.Role == firewall.Antispoof && table.Family == nftables.TableFamilyBridge && table.Name == "nat":
			some, err = n.antispoof(conn, table)
		}
		if err != nil {
			return found, err
		}
		found.rules, found.chains = append(found.rules, some.rules...), append(found.chains, some.chains...)
	}
	return found, nil
}

// isMasq says whether the comment begins with the two hashes of the attachment. The names after them may have been cut.
func (n names) isMasq(comment string) bool {
	return strings.HasPrefix(comment, short(n.network)+"-"+short(n.ifName+":"+n.container))
}

func short(text string) string {
	sum := digest.SHA512(text)
	return hex.EncodeToString(sum[:])[:16]
}

// isHostport says whether it is one of the tables of published ports.
func isHostport(t *nftables.Table) bool {
	return t.Name == "cni_hostport" && (t.Family == nftables.TableFamilyIPv4 || t.Family == nftables.TableFamilyIPv6)
}

// published returns the rules of the container's ports. Their comment is the container's ID alone.
func (n names) published(conn *nftables.Conn, table *nftables.Table, c firewall.Claim) ([]*nftables.Rule, error) {
	rules, err := commented(conn, table, func(comment string) bool { return comment == n.container }, "hostports", "hostip_hostports", "masquerading")
	if len(c.Ports) == 0 {
		return rules, err
	}
	others := func(r *nftables.Rule) bool {
		return !slices.ContainsFunc(c.Ports, func(p firewall.Port) bool { return mentions(r, p.Target.Addr()) })
	}
	return slices.DeleteFunc(rules, others), err
}

// antispoof returns the attachment's two chains of macspoofchk, and the rule that leads to them.
func (n names) antispoof(conn *nftables.Conn, table *nftables.Table) (found remains, err error) {
	name := n.container + "-" + n.ifName
	found.rules, err = commented(conn, table, func(comment string) bool { return comment == "macspoofchk-"+name }, "PREROUTING")
	for _, chain := range []string{"cni-br-iface-" + name, "cni-br-iface-" + name + "-mac"} {
		there, failed := conn.ListChain(table, chain)
		switch {
		case failed == nil:
			there.Table = table
			found.chains = append(found.chains, there)
		case !missing(failed):
			err = errors.Join(err, failed)
		}
	}
	return found, err
}

// missing says whether an error means that there is no such chain, or that its name is longer than a chain's may be.
func missing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ERANGE)
}

// commented returns the rules of the chains whose comment is one that is wanted. A chain that is not there has none.
func commented(conn *nftables.Conn, table *nftables.Table, wanted func(string) bool, chains ...string) (list []*nftables.Rule, err error) {
	for _, chain := range chains {
		rules, err := conn.GetRules(table, &nftables.Chain{Name: chain, Table: table})
		if err != nil && !missing(err) {
			return nil, err
		}
		for _, rule := range rules {
			if comment, ok := userdata.GetString(rule.UserData, userdata.TypeComment); ok && wanted(comment) {
				list = append(list, rule)
			}
		}
	}
	return list, nil
}

// mentions says whether a rule has the address in it.
func mentions(r *nftables.Rule, a netip.Addr) bool {
	for _, operand := range operands(r) {
		if addr, ok := netip.AddrFromSlice(operand); ok && addr == a {
			return true
		}
	}
	return false
}
