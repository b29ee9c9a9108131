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
				gets := func(suite, script string) (answers []string) {
					t.Helper()
					shell(t, underRules+script, suite, o.rules, o.keys)
					for _, port := range []int{80, 81} {
						answers = append(answers, fmt.Sprintf("%d %v", port, w.hears("one", "tcp", fmt.Sprintf("192.0.2.2:%d", port), outsider)))
					}
					return answers
				}
				want := gets(reference.Newest.Dir, `eval "$2"; cnitool add n $c`)
				shell(t, underRules+`cnitool del n $c; nft flush ruleset`, reference.Newest.Dir, o.rules, o.keys)
				for _, script := range []string{`eval "$2"; cnitool add n $c; cnitool check n $c`, `nft flush ruleset; eval "$2"; trestle repair; cnitool check n $c`} {
					if got := gets(os.Getenv(pluginsVar), script); !slices.Equal(got, want) {
						t.Errorf("%s: by the reference %v gets through, by ours %v", script, want, got)
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
