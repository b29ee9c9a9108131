package e2e

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// operatorsRules are what an operator has told iptables, and the keys of firewall beside it.
var operatorsRules = map[string]struct{ rules, keys string }{
	"nothing":                    {rules: "iptables -S"},
	"a policy":                   {rules: "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP"},
	"a policy of IPv6 alone":     {rules: "ip6tables -P FORWARD DROP"},
	"a rejection at the end":     {rules: "iptables -A FORWARD -j REJECT"},
	"the bridge dropped":         {rules: "iptables -A FORWARD -i br0 -j DROP"},
	"a chain of Docker's":        {rules: "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; iptables -A DOCKER-USER -i br0 -p tcp --dport 81 -j DROP"},
	"an admin chain":             {rules: "iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -p tcp --dport 81 -j DROP"},
	"an admin chain, policy":     {rules: "iptables -P FORWARD DROP; iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -p tcp --dport 81 -j DROP"},
	"an admin chain, rejection":  {rules: "iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -p tcp --dport 81 -j DROP; iptables -A FORWARD -j REJECT"},
	"an admin chain that ends":   {rules: "iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -p tcp --dport 80 -j RETURN; iptables -A CNI-ADMIN -p tcp -j DROP"},
	"an admin chain, one's own":  {rules: "iptables -N MINE; iptables -A MINE -p tcp --dport 81 -j DROP; iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -p tcp --dport 80 -j DROP", keys: `, "iptablesAdminChainName": "MINE"`},
	"an admin chain that passes": {rules: "iptables -P FORWARD DROP; iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -p tcp --dport 81 -j ACCEPT"},
	"an empty admin chain":       {rules: "iptables -N CNI-ADMIN; iptables -P FORWARD DROP"},
	"of nftables":                {rules: "nft add table ip mine; nft add chain ip mine f '{ type filter hook forward priority 0; }'; nft add rule ip mine f tcp dport 81 drop"},
}

// TestOperatorsRules has the operator's own rules on the host before the first container comes, by the reference 1.10.0 and by ours without a choice of the backend: the same gets through.
func TestOperatorsRules(t *testing.T) {
	for name, o := range operatorsRules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				w := newStreet(t)
				w.container("one")
				w.serve(outsider, "tcp", ":80")
				w.serve(outsider, "tcp", ":81")
				gets := func(suite, script string, want ...bool) (answers []bool) {
					t.Helper()
					shell(t, underRules+script, suite, o.rules, o.keys)
					for i, port := range []int{80, 81} {
						if w.waits = 0; len(want) > i && !want[i] {
							w.waits = silence
						}
						answers = append(answers, w.hears("one", "tcp", fmt.Sprintf("192.0.2.2:%d", port), outsider))
					}
					return answers
				}
				want := gets(reference.Newest.Dir, `eval "$2"; cnitool add n $c`)
				shell(t, underRules+`cnitool del n $c; nft flush ruleset`, reference.Newest.Dir, o.rules, o.keys)
				for _, script := range []string{`eval "$2"; cnitool add n $c; cnitool check n $c`, `nft flush ruleset; eval "$2"; trestle repair; cnitool check n $c`} {
					if got := gets(os.Getenv(pluginsVar), script, want...); !slices.Equal(got, want) {
						t.Errorf("%s: ports 80 and 81 are reached under the reference: %v, under ours: %v", script, want, got)
					}
				}
				shell(t, underRules+`cnitool del n $c; [ -z "$(iptables -S | grep trestle)" ]`, os.Getenv(pluginsVar), o.rules, o.keys)
			})
		})
	}
}

const underRules = `mkdir -p /run/net.d; c=/run/netns/one; export CNI_PATH=$1 PATH=$1:$PATH
cat > /run/net.d/n.conflist <<END
{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}, {"type": "firewall"$3}]}
END
`

// TestIsolationStaysFirst has an operator delete a jump of iptables' chain FORWARD: what makes it again, the next ADD or a repair, puts what accepts behind what keeps bridges apart. By
// the reference's next ADD it comes before, and the bridges are not apart any more.
func TestIsolationStaysFirst(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		for _, name := range []string{"one", "two", "three"} {
			w.container(name)
		}
		w.serve("two", "tcp", ":80")
		apart := func(suite, after, script string, want bool) {
			t.Helper()
			shell(t, apartLists+script, suite)
			if w.waits = 0; want {
				w.waits = silence
			}
			if got := !w.hears("one", "tcp", "10.62.0.2:80", "two"); got != want {
				t.Errorf("%s, after %s: they are apart: %v", suite, after, got)
			}
		}
		const accepts, keeps = `iptables -D FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD`, `iptables -D FORWARD -m comment --comment "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)" -j CNI-ISOLATION-STAGE-1`
		for _, suite := range []string{reference.Newest.Dir, os.Getenv(pluginsVar)} {
			ours := suite != reference.Newest.Dir
			apart(suite, "ADD", `cnitool add n $c/one; cnitool add m $c/two`, true)
			apart(suite, "a deletion of what accepts, and another ADD", accepts+`; cnitool add n $c/three`, ours)
			if ours {
				apart(suite, "a deletion of what accepts, and a repair", accepts+`; ! cnitool check n $c/one; trestle repair; cnitool check n $c/one`, true)
				apart(suite, "a deletion of what keeps apart, and a repair", keeps+`; ! cnitool check n $c/one; trestle repair; cnitool check n $c/one`, true)
			}
			shell(t, apartLists+`cnitool del n $c/three; cnitool del m $c/two; cnitool del n $c/one; nft flush ruleset`, suite)
		}
	})
}

const apartLists = `mkdir -p /run/net.d; c=/run/netns; export CNI_PATH=$1 PATH=$1:$PATH
for n in n:0:61 m:1:62; do IFS=: read name bridge subnet <<END
$n
END
echo '{"cniVersion": "1.0.0", "name": "'$name'", "plugins": [{"type": "bridge", "bridge": "br'$bridge'", "isDefaultGateway": true,
	"ipam": {"type": "host-local", "subnet": "10.'$subnet'.0.0/24"}}, {"type": "firewall", "backend": "iptables", "ingressPolicy": "same-bridge"}]}' > /run/net.d/$name.conflist; done
`
