package main

import (
	"fmt"
	"regexp"
	"time"
)

// tag is the build tag of tests that only run here: what they ask of a kernel the one below `make test` need not have.
const tag = "kernels"

// seriesVar tells a test which kernel it is meant to run on.
const seriesVar = "TRESTLE_KERNEL"

// batch is a set of tests that are run together: one `go test`.
type batch struct {
	name      string
	series    string // the one kernel that it is for; empty: each
	packages  []string
	run, skip string
	scripts   string // of test/e2e/testdata
	timeout   time.Duration
}

// whole is what must hold on any kernel. What a kernel can change is what becomes of a request: of a message of netlink, an expression of nf_tables, a setting,
// a file, a packet. So what makes requests is run on each: steps, sockets, packet filters, reservations, a network of many keys by the laws, each plugin with
// traffic. The same requests put together otherwise are run on one of the two: those by iptables and beside the reference on the older one, which differs the
// most from the kernel below `make test`; of links that kernel has not, and in all the ways in which runtimes ask, on the newer one. So both take the same time, beside
// each other. What makes no request is not here: parsers, pages, pictures; nor are measurements, and the same again by the bundle or in great numbers.
var whole = []batch{
	{name: "steps and sockets", packages: []string{"./pkg/step", "./pkg/kernel/...", "./pkg/site", "./pkg/firewall/conntrack"}, skip: "TestRemovals"},
	{name: "packet filters", packages: []string{"./pkg/firewall/nft", "./pkg/firewall/host", "./pkg/firewall/reference"}, skip: "TestCrowdTakesTurns"},
	{name: "rules of iptables", packages: []string{"./pkg/firewall/iptables"}, run: "TestFilter/^(bad-claims|hold|exactly|wiped|other-owner|deadline)$|TestWithoutTool|TestReading"},
	{name: "reservations", packages: []string{"./pkg/ipam"}, skip: "TestStoreIsTheModel|TestConstantCost|TestIndexManyAddresses|Fuzz"},
	{name: "laws of both", packages: []string{"./test/laws"}, run: "TestLaws/^(bridge-dual-stack.json|60-node.conflist)" + lawful},
	{name: "plugins with traffic", packages: []string{"./test/e2e"}, scripts: traffic, run: "^TestKernelScripts$/^(vrf|lone|vlan-.*)$|^TestKernel(OddParents|OddTables|Numbers)$|" +
		"^(TestReuse|TestAdvertisedDuring|TestHostsLoopback|TestFramesOfRouters|TestFairQueue|TestBandwidth(Drift|Orphan))$|^TestCutUnderFire$/nftables"},

	{name: "laws of the older kernel", series: "6.1", packages: []string{"./test/laws"},
		run: "TestLaws/^60-node.conflist/^(2|3)-|TestLaws/^(ptp-dual-stack.json|firewall-isolated-iptables.json|tuning-every-key.json|sbr-gateways.json|tap-dual-stack.json|host-local-every-key.json)" + told},
	{name: "all claims by iptables", series: "6.1", packages: []string{"./pkg/firewall/iptables"}, run: "TestFilter/^(claims|specific-address)$"},
	{name: "with iptables and the reference", series: "6.1", packages: []string{"./test/e2e"}, scripts: "anchor-.*|iptables|interop|one-family",
		run: "^(TestReachability|TestReplacement|TestSpecific|TestSourcedInterchange|TestSourcedMakesNoFile|TestBandwidthInterchange|TestTuningInterchange|TestSysctlBeforeUp)$|" +
			"^TestAttacks$/./iptables|^TestCutUnderFire$/iptables|^TestFirewallMatrix$/iptables-DROP-isolated|^TestFirewallRulesAreTheReferences$/both"},

	{name: "laws of the newer kernel", series: "6.12", packages: []string{"./test/laws"},
		run: "TestLaws/^bridge-dual-stack.json/^(2|3)-|TestLaws/^(bandwidth-both.json|firewall-podman.json|ptp-static.json|macvlan-shim.json|loopback-)" + told},
	{name: "laws of the newer kernel's links", series: "6.12", packages: []string{"./test/laws"}, run: "TestLaws/^(" + links + ")/^(1|5|10)-|TestLaws/^(" + richest + ")/^(2|3)-"},
	{name: "networks as runtimes ask for them", series: "6.12", packages: []string{"./test/e2e"},
		scripts: "conf-(10|21|4.|50|51|6.|7.|8[0-3])-.*|barred|chain|check|collect|containerd|del|gc|host-device-network|kinds|log|multus|podman|twofold",
		run: "^(TestKernelLinksInterchange|TestKernelNothingOfBefore|TestKernelUninstallRefuses|TestKernelTraceOnParents|TestNamespacePaths|TestTwice)$|^TestAttacks$/./nftables|^TestFirewallMatrix$/^nftables-(DROP-open|ACCEPT-isolated)$|" +
			"^TestKernelScripts$/^(conf-.*|kinds|lint|multus)$"},

	{name: "the guest itself, and cnitool", packages: []string{"./test/kernels/guest"}},
}

// lawful are the laws about what a kernel makes, removes and lets happen at the same time; the others kill or refuse at each step, or plan. Two networks are
// held to them on each kernel. Those about a fault, and about what is told of a drift, go through all steps of a network, with an ADD for each, while each kind of
// step is held to the same by itself (TestContracts): so they are on one of the two, as are the other networks, and of these a fault is
// that of links that have no other kernel. Of such links the two are for the networks whose steps no other of their kind has: CI's selection has them of all.
const lawful, made, told = "/^(1|4|5|8|10|11)-", "/^(1|2|3|5|10)-", "/^(1|3|5|10)-"

// links are networks of what the kernel below `make test` has not.
const links = "bridge-vlan-|dummy-|ipvlan-|vlan-|vrf-|ptp-netkit.json"

// richest leaves out of them those whose steps are in another one.
const richest = "bridge-vlan-|dummy-dual-stack.json|ipvlan-dual-stack.json|vlan-|vrf-table.json|ptp-netkit.json"

// traffic are the scripts about one plugin, or about what it is for.
const traffic = "conf-(20|22|30|52|88)-.*|firewall|host-device|inside|loopback|macvlan|netkit|ptp|repair|tap|tuning"

// selection is what CI runs of it, within a quarter of an hour: all that the kernel below `make test` cannot, on one of the kernels, so that both are busy for
// as long, and what is done otherwise on an older one. Laws are those about what a kernel makes, removes and tells.
var selection = []batch{
	{name: "the guest itself", packages: []string{"./test/kernels/guest"}, skip: "TestCnitool|TestDropCosts"},
	{name: "steps", packages: []string{"./pkg/step"}, run: "VLAN|VRF|TestBridgeWithoutFiltering|TestReusedAddress|TestAnnounce|TestLocalhost"},
	{name: "elements without a new expiry", series: "6.1", packages: []string{"./pkg/firewall/nft"}, run: "TestFilter|TestExpiry|TestGeneration"},
	{name: "deaths of namespaces", packages: []string{"./pkg/ipam"}, run: "Death"},
	{name: "VLANs, fq_codel and networks, with traffic", series: "6.1", packages: []string{"./test/e2e"},
		run: "TestKernel(Scripts|LinksInterchange|TraceOnParents)$|TestFairQueue|TestBandwidthDrift|TestScripts/conf-"},
	{name: "odd parents, lists and numbers, and what another suite left", series: "6.12", packages: []string{"./test/e2e"},
		run: "TestKernel(OddParents|OddTables|Numbers|NothingOfBefore|UninstallRefuses)$"},
	{name: "laws", series: "6.12", packages: []string{"./test/laws"}, run: "TestLaws/^(" + links + ")" + made},
}

// batches are those for the kernel.
func (o order) batches(series string) (list []batch, err error) {
	part, err := regexp.Compile(o.part)
	if err != nil {
		return nil, fmt.Errorf("part: %w", err)
	}
	from := whole
	if o.ci {
		from = selection
	}
	for _, b := range from {
		if b.series != "" && b.series != series || !part.MatchString(b.name) {
			continue
		}
		if b.scripts != "" {
			b.run = "^TestScripts$/^(" + b.scripts + ")$|" + b.run
		}
		if o.run != "" {
			b.run = o.run
		}
		list = append(list, b)
	}
	return list, nil
}

// flags are what `go test` is told of the batch. Two at once, also on one processor: while one waits for what is to come, the other works.
func (b batch) flags() (list []string) {
	list = append(list, "-timeout="+b.patience().String(), "-parallel=2")
	if b.run != "" {
		list = append(list, "-run="+b.run)
	}
	if b.skip != "" {
		list = append(list, "-skip="+b.skip)
	}
	return append(list, b.packages...)
}

func (b batch) patience() time.Duration {
	if b.timeout == 0 {
		return 30 * time.Minute
	}
	return b.timeout
}
