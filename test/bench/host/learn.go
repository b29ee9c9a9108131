package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/space"
)

// learn has every pod of the order added and deleted by our plugins, and keeps what they made.
func (s *Server) learn(ctx context.Context, o Order) error {
	drive, err := s.inside(o)
	if err != nil {
		return err
	}
	for pod := o.First; pod < o.First+o.Count; pod++ {
		if err := drive(ctx, "ADD", pod); err != nil {
			return err
		}
		f, err := s.look(o, pod)
		if err := errors.Join(err, drive(ctx, "DEL", pod)); err != nil {
			return err
		}
		if old := s.floors[pod]; old != nil {
			old.close()
		}
		s.floors[pod] = f
	}
	return nil
}

// look reads what a pod has.
func (s *Server) look(o Order, pod int) (*floor, error) {
	result, err := s.cached(o, pod)
	if err != nil {
		return nil, err
	}
	f := new(floor)
	if err := f.open(s.pods[pod]); err != nil {
		return nil, err
	}
	if err := f.links(result, s.pods[pod]); err != nil {
		return nil, err
	}
	return f, f.filtered(fmt.Sprintf("/pod%d/eth0", pod))
}

// cached is the result of the ADD, as a runtime finds it.
func (s *Server) cached(o Order, pod int) (*types100.Result, error) {
	list, err := libcni.ConfListFromBytes(o.Conflist)
	if err != nil {
		return nil, err
	}
	cni := libcni.NewCNIConfigWithCacheDir(nil, cache, nil)
	result, err := cni.GetNetworkListCachedResult(list, &libcni.RuntimeConf{ContainerID: fmt.Sprint("pod", pod), NetNS: s.pods[pod], IfName: "eth0"})
	if err != nil {
		return nil, err
	}
	return types100.NewResultFromResult(result)
}

// open opens the sockets: two on the host, two in the container.
func (f *floor) open(path string) (err error) {
	if f.host, err = rtnl.Open(); err != nil {
		return err
	}
	if f.filter, err = nftables.New(nftables.AsLasting()); err != nil {
		return err
	}
	return space.In(path, func() (err error) {
		if f.container, err = rtnl.Open(); err != nil {
			return err
		}
		f.inside, err = netlink.NewHandle()
		return err
	})
}

func (f *floor) close() {
	f.host.Close()
	f.container.Close()
	f.inside.Close()
	_ = f.filter.CloseLasting()
	f.namespace.Close()
}

// links takes the pair from the result: the bridge comes first, where there is one, then the host's end, then the container's.
func (f *floor) links(result *types100.Result, path string) (err error) {
	list := result.Interfaces
	if len(list) != 2 && len(list) != 3 {
		return fmt.Errorf("floor: %d interfaces, want a pair, and a bridge before it or none", len(list))
	}
	if f.namespace, err = os.Open(path); err != nil {
		return err
	}
	f.pair = rtnl.Veth{Name: list[len(list)-2].Name, Peer: list[len(list)-1].Name, PeerNS: int(f.namespace.Fd())}
	if len(list) == 3 {
		bridge, err := netlink.LinkByName(list[0].Name)
		if err != nil {
			return err
		}
		f.pair.Master = bridge.Attrs().Index
	}
	gateways := make(map[bool]net.IP)
	for _, ip := range result.IPs {
		gateway, _ := netip.AddrFromSlice(ip.Gateway) // ours have one each
		f.addresses, f.gateways = append(f.addresses, &ip.Address), append(f.gateways, gateway.Unmap())
		gateways[ip.Address.IP.To4() != nil] = ip.Gateway
	}
	for _, r := range result.Routes {
		via := r.GW
		if via == nil {
			via = gateways[r.Dst.IP.To4() != nil]
		}
		f.routes = append(f.routes, netlink.Route{Dst: &r.Dst, Gw: via})
	}
	return nil
}

// filtered takes from the packet filter what is the pod's by its comment.
func (f *floor) filtered(owner string) error {
	sets, err := f.filter.GetSets(&nftables.Table{Name: "trestle", Family: nftables.TableFamilyINet})
	if err != nil {
		return err
	}
	for _, set := range sets {
		list, err := f.filter.GetSetElements(set)
		if err != nil {
			return err
		}
		own := elements{set: set}
		for _, e := range list {
			if strings.HasSuffix(e.Comment, owner) {
				own.list = append(own.list, e)
			}
		}
		if len(own.list) > 0 {
			f.elements = append(f.elements, own)
		}
	}
	if len(f.elements) == 0 {
		return fmt.Errorf("floor: no element of %s in the packet filter", owner)
	}
	return nil
}

func prefix(n *net.IPNet) netip.Prefix {
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}
