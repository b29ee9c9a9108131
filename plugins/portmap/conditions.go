package portmap

import (
	"fmt"

	"github.com/trestle-cni/trestle/pkg/condition"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/keys"
)

// parseConditions reads the conditions of one family, for the packet filter that takes them apart: each list of them is a way in which all may
// hold. A backend that was chosen wants its own words, as in the reference; without a choice either will do. Those of iptables, where that
// was chosen, are left to it. A list that begins with an empty word stands for none.
func parseConditions(k *keys.Object, key string, is4 bool, chosen condition.Dialect) [][]firewall.Condition {
	list := k.Strings(key)
	if len(list) == 0 || list[0] == "" || chosen == condition.IPTables {
		return nil
	}
	if chosen != "" && condition.DialectOf(list) != chosen {
		k.Reject(key, list, fmt.Sprintf("must be words of %s, as the backend is", chosen))
		return nil
	}
	ways, err := condition.Parse(list, is4)
	if err != nil {
		k.Reject(key, list, err.Error())
		return nil
	}
	return ways
}

// under returns the port once for each way in which its conditions may hold; as it is where there are none.
func under(p firewall.Port, ways [][]firewall.Condition) (ports []firewall.Port) {
	if len(ways) == 0 {
		return []firewall.Port{p}
	}
	for _, way := range ways {
		p.Conditions = way
		ports = append(ports, p)
	}
	return ports
}
