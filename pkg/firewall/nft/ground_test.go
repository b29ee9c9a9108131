package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// sabotage is what is done to the tables behind our back.
type sabotage struct {
	do      string   // to nft(8)
	noticed []string // words in the complaint of Held
	lost    bool     // an element is gone, which no Ground brings back
}

func words(list ...string) []string { return list }

const (
	changedRule    = "flush chain inet trestle prerouting; add rule inet trestle prerouting fib daddr type unicast jump hostports"
	addedChain     = "add chain inet trestle mine { type filter hook forward priority 0; policy drop; }"
	movedChain     = "delete chain inet trestle guard; add chain inet trestle guard { type filter hook prerouting priority 5; }"
	deletedSet     = "flush chain inet trestle postrouting; flush chain inet trestle stray; delete set inet trestle masq6"
	changedSet     = deletedSet + "; add set inet trestle masq6 { type ipv4_addr; }"
	deletedElement = "delete element inet trestle masq4 { 10.1.0.2 }"
	changedElement = "delete element inet trestle dnat4 { tcp . 8080 }; add element inet trestle dnat4 { tcp . 8080 : 10.1.0.9 . 80 }"
	changedRange   = `flush set inet trestle direct4; add element inet trestle direct4 { 10.1.0.2 . 10.1.0.0/16 comment "t1 a08a0fcbdeafd3c1 a730461b3ac437ba32474e net/one/eth0" }`
	changedOwner   = deletedElement + `; add element inet trestle masq4 { 10.1.0.2 comment "mine" }`
)

// sabotages is what operators and other programs do.
func sabotages() map[string]sabotage {
	return map[string]sabotage{
		"rules flushed":    {do: "flush chain inet trestle postrouting", noticed: words("chain postrouting", "ct status dnat jump published")},
		"rule added":       {do: "add rule inet trestle egress4 counter", noticed: words("chain egress4", "too many: 1")},
		"rule inserted":    {do: "insert rule inet trestle egress4 accept", noticed: words("chain egress4", "found another")},
		"rule changed":     {do: changedRule, noticed: words("chain prerouting", "found another")},
		"chain added":      {do: addedChain, noticed: words("chain mine", "expected none")},
		"policy changed":   {do: "chain inet trestle guard { policy drop; }", noticed: words("chain guard", "policy accept", "policy drop")},
		"priority changed": {do: movedChain, noticed: words("chain guard", "priority -300", "priority 5")},
		"chain deleted":    {do: "delete chain inet trestle guard", noticed: words("chain guard", "found none")},
		"dormant":          {do: "add table inet trestle { flags dormant; }", noticed: words("dormant")},
		"bridge flushed":   {do: "flush chain bridge trestle antispoof", noticed: words("table bridge trestle: chain antispoof")},

		"set gone":           {do: deletedSet, noticed: words("set masq6"), lost: true},
		"set of other type":  {do: changedSet, noticed: words("set masq6", "type ipv6_addr flags timeout", "type ipv4_addr"), lost: true},
		"element deleted":    {do: deletedElement, noticed: words("masqueraded address 10.1.0.2", "found nothing"), lost: true},
		"element changed":    {do: changedElement, noticed: words("host port 8080/tcp", "10.1.0.2:80", "10.1.0.9:80"), lost: true},
		"owner changed":      {do: changedOwner, noticed: words("masqueraded address 10.1.0.2", `"mine"`), lost: true},
		"subnet deleted":     {do: "flush set inet trestle direct4", noticed: words("except to 10.1.0.0/24", "found nothing"), lost: true},
		"subnet changed":     {do: changedRange, noticed: words("except to 10.1.0.0/24", "found another range"), lost: true},
		"attachment deleted": {do: "flush map inet trestle attachment", noticed: words("attachment: expected a count of 4", "found nothing"), lost: true},
		"ruleset flushed":    {do: "flush ruleset", noticed: words("table inet trestle: expected, found none"), lost: true},
	}
}

// TestSabotage asks who notices, and what the next Ground brings back.
func TestSabotage(t *testing.T) {
	for name, s := range sabotages() {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				f := held(t)
				nftool(t, s.do)
				noticed(t, f, s.noticed)
				must(t, f.Ground(t.Context()))
				must(t, f.Grounded(t.Context()))
				if !s.lost {
					whole(t, f)
				}
			})
		})
	}
}

// noticed fails the test unless Held of some claim says the words.
func noticed(t *testing.T, f *Filter, words []string) {
	t.Helper()
	var said []string
	for _, c := range three() {
		if err := f.Held(t.Context(), somebody(), c); err != nil {
			if fault.Code(err) != fault.Drift || fault.Hint(err) == "" {
				t.Errorf("error %v with code %d and hint %q", err, fault.Code(err), fault.Hint(err))
			}
			said = append(said, err.Error())
		}
	}
	for _, word := range words {
		if !strings.Contains(strings.Join(said, "\n"), word) {
			t.Errorf("held says %q, which does not mention %q", said, word)
		}
	}
}

// TestHoldRebuilds asks that a claim which finds a part of the table missing makes it whole, and keeps what the others hold.
func TestHoldRebuilds(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		nftool(t, "flush chain inet trestle postrouting; flush chain inet trestle stray; delete set inet trestle masq4")
		other := owner.Of("net", "two", "eth0")
		c := firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.3"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}
		_, err := f.Hold(t.Context(), other, c, nil)
		must(t, err)
		must(t, f.Held(t.Context(), other, c))
		must(t, f.Held(t.Context(), somebody(), three()[1]))
	})
}

// TestRepairs rebuilds the table again and again while others change its elements, and asks whether one was lost.
func TestRepairs(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		const others = 8
		held(t)
		other := func(i int) (owner.Owner, firewall.Claim) {
			addr := netip.AddrFrom4([4]byte{10, 1, 0, byte(10 + i)})
			return owner.Of("net", addr.String(), "eth0"), masqueraded(addr.String() + "/24")
		}
		errs := make(chan error)
		for i := range others {
			go func() {
				f := Open().Remember("/run")
				o, c := other(i)
				_, err := f.Hold(t.Context(), o, c, nil)
				for range 10 {
					err = errors.Join(err, f.Drop(t.Context(), o, c))
					_, failed := f.Hold(t.Context(), o, c, nil)
					err = errors.Join(err, failed)
				}
				errs <- errors.Join(err, f.Close())
			}()
		}
		f := open(t)
		for range 10 {
			nftool(t, "flush chain inet trestle hairpin")
			must(t, f.Ground(t.Context()))
		}
		for range others {
			must(t, <-errs)
		}
		whole(t, f)
		for i := range others {
			o, c := other(i)
			must(t, f.Held(t.Context(), o, c))
		}
	})
}

// TestVersions asks for the way up, and for the refusal of the way down.
func TestVersions(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		text := nftool(t, "list", "table", "inet", "trestle")
		reload := func(as int) {
			t.Helper()
			file := filepath.Join(t.TempDir(), "table")
			must(t, os.WriteFile(file, []byte("delete table inet trestle\n"+strings.Replace(text, fmt.Sprintf(`"trestle v%d `, version), fmt.Sprintf(`"trestle v%d `, as), 1)), 0o600))
			nftool(t, "-f", file)
		}
		reload(0)
		noticed(t, f, []string{fmt.Sprintf("expected version %d, found 0", version)})
		must(t, f.Ground(t.Context()))
		whole(t, f)
		reload(version + 1)
		noticed(t, f, []string{fmt.Sprintf("expected version %d, found %d", version, version+1)})
		if err := f.Ground(t.Context()); fault.Code(err) != fault.Unsupported {
			t.Errorf("ground of a newer version: %v, want a fault", err)
		}
		for _, c := range three() {
			must(t, f.Drop(t.Context(), somebody(), c))
		}
	})
}

// TestUpgrade begins with tables of older versions, as nft(8) listed them, with what somebody holds.
func TestUpgrade(t *testing.T) {
	for old, claims := range map[int][]firewall.Claim{1: three()[:2], 3: three(), 5: three()} { // the third is in the table bridge trestle
		t.Run(fmt.Sprint("v", old), func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				f := open(t)
				nftool(t, "-f", fmt.Sprintf("testdata/v%d.nft", old))
				noticed(t, f, []string{fmt.Sprintf("expected version %d, found %d", version, old)})
				must(t, f.Ground(t.Context()))
				must(t, f.Grounded(t.Context()))
				for _, c := range claims {
					must(t, f.Held(t.Context(), somebody(), c))
					must(t, f.Drop(t.Context(), somebody(), c))
					here, err := f.Holds(t.Context(), somebody(), c.Role)
					if err != nil || here {
						t.Errorf("%s after a drop: held %t, error %v", c.Role, here, err)
					}
				}
				must(t, f.Unground(t.Context()))
				if left := nftool(t, "list", "ruleset"); left != "" {
					t.Errorf("after unground:\n%s", left)
				}
			})
		})
	}
}
