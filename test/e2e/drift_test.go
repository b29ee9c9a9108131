package e2e

import (
	"github.com/google/nftables"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
)

// nftflush: removes the whole ruleset, as a firewall's restart does.
func nftFlushCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "nftflush", len(args) == 0)
	conn, err := nftables.New()
	ts.Check(err)
	conn.FlushRuleset()
	ts.Check(conn.Flush())
}

// nftdrop SET: removes one element of a set or map of the table inet trestle.
func nftDropCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "nftdrop SET", len(args) == 1)
	conn, err := nftables.New()
	ts.Check(err)
	set, err := conn.GetSetByName(&nftables.Table{Family: nftables.TableFamilyINet, Name: "trestle"}, args[0])
	ts.Check(err)
	elements, err := conn.GetSetElements(set)
	ts.Check(err)
	if len(elements) == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
	ts.Check(conn.SetDeleteElements(set, elements[:1]))
	ts.Check(conn.Flush())
}

// hairpin LINK on|off: sets the bridge port's flag.
func hairpinCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "hairpin LINK on|off", len(args) == 2)
	link, err := netlink.LinkByName(args[0])
	ts.Check(err)
	ts.Check(netlink.LinkSetHairpin(link, args[1] == "on"))
}
