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
	timeout   time.Duration
}

// whole is what must hold on any kernel, less what a kernel cannot change: parsers, pages and pictures; measurements; and the same again by the
// bundle or in great numbers.
var whole = []batch{
	{name: "steps and sockets", packages: []string{"./test/kernels/guest", "./pkg/step", "./pkg/kernel/...", "./pkg/site", "./pkg/firewall/conntrack"},
		skip: "TestRemovals"},
	{name: "packet filters", packages: []string{"./pkg/firewall/nft", "./pkg/firewall/host", "./pkg/firewall/reference"}, skip: "TestCrowdTakesTurns"},
	{name: "rules of iptables", packages: []string{"./pkg/firewall/iptables"}, run: "TestFilter/^(bad-claims|hold|exactly|wiped|other-owner|deadline)$|TestWithoutTool|TestReading"},
	{name: "all claims by iptables", series: "6.1", packages: []string{"./pkg/firewall/iptables"}, run: "TestFilter/^(claims|specific-address)$"},
	{name: "reservations", packages: []string{"./pkg/ipam"}, skip: "TestStoreIsTheModel|TestConstantCost|TestIndexManyAddresses|Fuzz"},
	{name: "laws", packages: []string{"./test/laws"}, run: "TestLaws/^(bridge-dual-stack.json|60-node.conflist)" + lawful},
	{name: "laws of the older kernel", series: "6.1", packages: []string{"./test/laws"}, run: "TestLaws/^(ptp-dual-stack.json|firewall-isolated-iptables.json|tuning-every-key.json|sbr-gateways.json|tap-dual-stack.json|host-local-every-key.json)" + made},
	{name: "laws of the newer kernel", series: "6.12", packages: []string{"./test/laws"}, run: "TestLaws/^(bandwidth-both.json|firewall-podman.json|ptp-static.json|macvlan-shim.json|loopback-|bridge-vlan-|" + links + ")" + made},
	{name: "end to end", packages: []string{"./test/e2e"},
		run: "^(TestScripts|TestKernelScripts|TestKernelLinksInterchange|TestKernelTraceOnParents|TestReuse|TestAdvertisedDuring|TestHostsLoopback|TestFramesOfRouters|" +
			"TestNamespacePaths|TestTwice|TestFairQueue|TestBandwidth(Drift|Orphan))$|^TestAttacks$/./nftables|^TestCutUnderFire$/nftables|^TestFirewallMatrix$/^nftables-(DROP-open|ACCEPT-isolated)$",
		skip: "TestScripts/(anchor-.*|conf-(2.|4.|50|51|61|62|7.)-.*|firewalld|iptables|last|lint|migration|network|pods|show|told)$"},
	{name: "networks, and with iptables and the reference", series: "6.1", packages: []string{"./test/e2e"},
		run: "^(TestReachability|TestReplacement|TestSpecific|TestSourcedInterchange|TestSourcedMakesNoFile|TestBandwidthInterchange|TestTuningInterchange|TestSysctlBeforeUp)$|" +
			"^TestAttacks$/./iptables|^TestCutUnderFire$/iptables|^TestFirewallMatrix$/iptables-DROP-isolated|^TestFirewallRulesAreTheReferences$/both|^TestScripts$/^(anchor-.*|conf-(2.|4.|50|51|61|62|7.)-.*|iptables)$"},
}

// lawful are the laws about what a kernel makes, removes, tells and lets happen at the same time; the others kill or refuse at each step, or plan. Networks of
// both packet filters and both families are held to them on each kernel; the rest each on one, to what is made, removed and told.
const lawful, made = "/^(1|2|3|4|5|8|10|11)-", "/^(1|2|3|5|10)-"

// links are plugins whose links the kernel below `make test` has not.
const links = "dummy-|ipvlan-|vlan-|vrf-"

// selection is what CI runs of it, a quarter of an hour's worth: all that the kernel below `make test` cannot, on one of the kernels, and what is done
// otherwise on an older one. Laws are those about what a kernel makes, removes and tells.
var selection = []batch{
	{name: "the guest itself", packages: []string{"./test/kernels/guest"}, skip: "TestCnitool|TestDropCosts"},
	{name: "steps", packages: []string{"./pkg/step"}, run: "VLAN|VRF|TestBridgeWithoutFiltering|TestReusedAddress|TestAnnounce|TestLocalhost"},
	{name: "elements without a new expiry", series: "6.1", packages: []string{"./pkg/firewall/nft"}, run: "TestFilter|TestExpiry|TestGeneration"},
	{name: "deaths of namespaces", packages: []string{"./pkg/ipam"}, run: "Death"},
	{name: "VLANs, fq_codel and networks, with traffic", series: "6.1", packages: []string{"./test/e2e"},
		run: "TestKernel|TestFairQueue|TestBandwidthDrift|TestScripts/conf-"},
	{name: "laws", series: "6.12", packages: []string{"./test/laws"}, run: "TestLaws/^(bridge-vlan-|" + links + ")" + made},
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
		if o.run != "" {
			b.run = o.run
		}
		list = append(list, b)
	}
	return list, nil
}

// flags are what `go test` is told of the batch.
func (b batch) flags() (list []string) {
	list = append(list, "-timeout="+b.patience().String())
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
