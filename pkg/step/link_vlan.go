package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/site"
)

// PortVLANs are the VLANs of one port of a bridge that filters them (IEEE 802.1Q).
type PortVLANs struct {
	Link        string
	Access      int   // VLAN of untagged frames, 1 to 4094; 0: none, or VLAN 1 beside a trunk
	Trunk       []int // VLANs that are passed tagged, ascending
	KeepDefault bool  // leave the VLAN that the bridge gave the new port
}

func (v PortVLANs) String() string {
	return fmt.Sprintf("VLANs of %s: access %d, trunk %v", v.Link, v.Access, v.Trunk)
}

// Inside says that all goes with the link.
func (v PortVLANs) Inside() {}

// untagged returns the port's PVID, 0 for none.
func (v PortVLANs) untagged() int {
	if v.Access == 0 && len(v.Trunk) > 0 {
		return 1
	}
	return v.Access
}

// Apply sets the port's VLANs, a request for each run of neighbouring ones.
func (v PortVLANs) Apply(ctx context.Context, s *site.Site) (bool, error) {
	if v.Verify(ctx, s) == nil {
		return false, nil
	}
	link, err := need(s.Host, v.Link)
	if err != nil {
		return false, err
	}
	if err := v.dropDefault(s.Host, link); err != nil {
		return false, err
	}
	err = v.set(s.Host, link)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, noFiltering(err)
	}
	return true, err
}

func (v PortVLANs) set(side *site.Side, link netlink.Link) error {
	host, err := side.Handle()
	if err != nil {
		return err
	}
	for _, run := range runs(v.Trunk) {
		if err := runOf(host.BridgeVlanAdd, host.BridgeVlanAddRange)(link, run); err != nil {
			return fmt.Errorf("trunk %d-%d: %w", run[0], run[1], err)
		}
	}
	if pvid := v.untagged(); pvid != 0 {
		if err := host.BridgeVlanAdd(link, uint16(pvid), true, true, false, true); err != nil {
			return fmt.Errorf("access %d: %w", pvid, err)
		}
	}
	return nil
}

// dropDefault removes the one VLAN that a bridge gives each new port, its default PVID.
func (v PortVLANs) dropDefault(side *site.Side, link netlink.Link) error {
	if v.KeepDefault {
		return nil
	}
	master, err := side.LinkByIndex(link.Attrs().MasterIndex)
	if err != nil {
		return err
	}
	host, err := side.Handle()
	if err != nil {
		return err
	}
	bridge, ok := master.(*netlink.Bridge)
	if !ok || bridge.VlanDefaultPVID == nil || *bridge.VlanDefaultPVID == 0 {
		return nil
	}
	err = host.BridgeVlanDel(link, *bridge.VlanDefaultPVID, false, false, false, true)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("default VLAN %d: %w", *bridge.VlanDefaultPVID, err)
	}
	return nil
}

// runs groups ascending numbers into first and last of each unbroken row.
func runs(numbers []int) [][2]uint16 {
	var rows [][2]uint16
	for _, n := range numbers {
		if last := len(rows) - 1; last >= 0 && int(rows[last][1])+1 == n {
			rows[last][1]++
			continue
		}
		rows = append(rows, [2]uint16{uint16(n), uint16(n)})
	}
	return rows
}

// runOf is a request for a run of tagged VLANs: the kernel takes no range of one (br_process_vlan_info in net/bridge/br_netlink.c).
func runOf(one func(link netlink.Link, vid uint16, pvid, untagged, self, master bool) error,
	several func(link netlink.Link, first, last uint16, pvid, untagged, self, master bool) error) func(netlink.Link, [2]uint16) error {
	return func(link netlink.Link, run [2]uint16) error {
		if run[0] == run[1] {
			return one(link, run[0], false, false, false, true)
		}
		return several(link, run[0], run[1], false, false, false, true)
	}
}

// Undo removes those of the VLANs that are there.
func (v PortVLANs) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, v.Link)
	if err != nil || link == nil {
		return err
	}
	have, err := vlansOf(s.Host, link)
	if err != nil {
		return err
	}
	var there []int
	for _, vid := range append(v.Trunk[:len(v.Trunk):len(v.Trunk)], v.untagged()) {
		if have[vid] != nil {
			there = append(there, vid)
		}
	}
	order.By(there, cmp.Compare[int])
	host, err := s.Host.Handle()
	if err != nil {
		return err
	}
	var errs []error
	for _, run := range runs(slices.Compact(there)) {
		errs = append(errs, runOf(host.BridgeVlanDel, host.BridgeVlanDelRange)(link, run))
	}
	return fault.Join(errs...)
}

// vlansOf reads the VLANs of a port; none where the kernel does not filter any.
func vlansOf(host *site.Side, link netlink.Link) (map[int]*nl.BridgeVlanInfo, error) {
	handle, err := host.Handle()
	if err != nil {
		return nil, err
	}
	table, err := handle.BridgeVlanList()
	if err != nil {
		return nil, err
	}
	have := make(map[int]*nl.BridgeVlanInfo)
	for _, info := range table[int32(link.Attrs().Index)] {
		have[int(info.Vid)] = info
	}
	return have, nil
}

// Verify wants each VLAN on the port with its tagging.
func (v PortVLANs) Verify(_ context.Context, s *site.Site) error {
	link, err := need(s.Host, v.Link)
	if err != nil {
		return err
	}
	have, err := vlansOf(s.Host, link)
	if err != nil {
		return err
	}
	for _, vid := range v.Trunk {
		if have[vid] == nil {
			return drift("VLANs of "+v.Link, vid, "not there")
		}
	}
	if pvid := v.untagged(); pvid != 0 && (have[pvid] == nil || !have[pvid].PortVID() || !have[pvid].EngressUntag()) {
		return drift("untagged VLAN of "+v.Link, pvid, "another or none")
	}
	return nil
}

// vlanAlias marks the ports for gateways on VLANs that we made.
const vlanAlias = "trestle vlan port"

// VLANPort is the host's own interface on one VLAN of a bridge, where the gateway's addresses are: a veth pair whose one end has the
// name and whose other end is a port of the bridge. It is shared ground.
type VLANPort struct {
	Name   string // <bridge>.<vlan>
	Port   string // the other end
	Bridge string
	VLAN   int
	MAC    net.HardwareAddr
}

func (p VLANPort) String() string { return "VLAN port " + p.Name }

// Apply makes the pair, or what is missing of one that an ADD before left half made. An interface of that name that somebody else made is
// taken as it is.
func (p VLANPort) Apply(ctx context.Context, s *site.Site) (bool, error) {
	link, err := find(s.Host, p.Name)
	if err != nil || link != nil && link.Attrs().Alias != vlanAlias {
		return false, err
	}
	made := link == nil
	if made {
		if err := p.create(s.Host); err != nil {
			return false, err
		}
	}
	if _, err := (PortVLANs{Link: p.Port, Access: p.VLAN}).Apply(ctx, s); err != nil {
		return made, err
	}
	if err := refuseRA(s, p.Name, true); err != nil { // a VLAN's interface is a gateway's, and all its bridge's containers are guarded
		return made, err
	}
	prefer(s, s.Host, acceptRA(p.Port), "0")
	return made, s.Host.Conn.Send(rtnl.SetUp(p.Port), rtnl.SetUp(p.Name)) // the name's end last: that it is up says that all is done
}

func (p VLANPort) create(host *site.Side) error {
	bridge, err := need(host, p.Bridge)
	if err != nil {
		return err
	}
	return host.Conn.Send(
		rtnl.NewVeth(rtnl.Veth{Name: p.Port, Peer: p.Name, PeerMAC: p.MAC, MTU: bridge.Attrs().MTU, Master: bridge.Attrs().Index, PeerNS: -1}),
		rtnl.SetAlias(p.Port, vlanAlias), rtnl.SetAlias(p.Name, vlanAlias))
}

// Undo removes a pair that we made when the bridge has no port left but such pairs.
func (p VLANPort) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, p.Name)
	if err != nil || link == nil || link.Attrs().Alias != vlanAlias {
		return err
	}
	if used, err := occupied(s.Host, p.Bridge); err != nil || used {
		return err
	}
	return remove(s.Host, link)
}

// occupied says whether the bridge is there and has a port that is not the host's own, for a gateway on a VLAN.
func occupied(host *site.Side, bridge string) (bool, error) {
	link, err := find(host, bridge)
	if err != nil || link == nil {
		return false, err
	}
	links, err := host.LinkList()
	return slices.ContainsFunc(links, func(l netlink.Link) bool {
		return l.Attrs().MasterIndex == link.Attrs().Index && l.Attrs().Alias != vlanAlias
	}), err
}

// Verify wants the interface to be there and up.
func (p VLANPort) Verify(_ context.Context, s *site.Site) error {
	link, err := need(s.Host, p.Name)
	if err == nil && !isUp(link) {
		err = drift("link "+p.Name, "up", "down")
	}
	return err
}
