package step

import (
	"context"
	"encoding/hex"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/digest"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Mirror is the link of a Mirrored alone, on the host, of an owner whose list may have lost the plugin: what leads there goes with the interface. It makes nothing,
// and knows nothing of queues and filters, so that who makes an interface need not either.
type Mirror struct{ Owner owner.Owner }

func (m Mirror) String() string { return "rate link" }

// Apply makes nothing.
func (m Mirror) Apply(context.Context, *site.Site) (bool, error) { return false, nil }

// Undo removes the links. The reference's is left: it may be of another interface of the container, of which a list without the plugin tells nothing.
func (m Mirror) Undo(_ context.Context, at *site.Site) error {
	links, err := mirrors(at.Host, m.Owner, false)
	errs := []error{err}
	for _, link := range links {
		errs = append(errs, remove(at.Host, link))
	}
	return fault.Join(errs...)
}

// Verify wants nothing.
func (m Mirror) Verify(context.Context, *site.Site) error { return nil }

// Owners lists whose links of the network are on the host.
func (m Mirror) Owners(_ context.Context, at *site.Site, network [8]byte) ([]firewall.Holder, error) {
	return mirrorOwners(at.Host, network)
}

// MirrorNames are the names of the link: the reference's, which minds no interface, and the one of a further interface of the container.
func MirrorNames(o owner.Owner) []string {
	network, id, ifName, whole := o.Names()
	if !whole {
		return nil
	}
	return []string{mirrorName(network + id), mirrorName(network + id + ifName)}
}

// MirrorMAC is the Ethernet address of the link of that name, by which ours is told from the reference's: the number in the name, locally administered, unicast.
func MirrorMAC(name string) net.HardwareAddr {
	mac, _ := hex.DecodeString(strings.TrimPrefix(name, "bwp")) // a name of mirrorName's
	mac[0] = mac[0]&^1 | 2
	return mac
}

func mirrorName(of string) string {
	sum := digest.SHA512(of)
	return "bwp" + hex.EncodeToString(sum[:])[:12]
}

// mirrors are the links that are the owner's; theirs has the reference's, too, which has no mark.
func mirrors(on *site.Side, o owner.Owner, theirs bool) (list []netlink.Link, err error) {
	names := MirrorNames(o)
	if names == nil {
		return markedMirrors(on, o)
	}
	there, err := on.LinksByName(names[0], names[1], o.HostLink()) // which is asked for next, by who removes it
	if err != nil {
		return nil, err
	}
	for _, link := range there {
		of, marked := owner.Parse(link.Attrs().Alias)
		reference := theirs && !marked && link.Attrs().Name == names[0]
		if link.Type() == "ifb" && (marked && of.ID == o.ID || reference) {
			list = append(list, link)
		}
	}
	if len(list) == 2 { // the first is another interface's, which the reference made
		list = list[1:]
	}
	return list, nil
}

// markedMirrors looks for an owner whose names are not known.
func markedMirrors(on *site.Side, o owner.Owner) (list []netlink.Link, err error) {
	links, err := on.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if of, marked := owner.Parse(link.Attrs().Alias); marked && of.ID == o.ID && link.Type() == "ifb" {
			list = append(list, link)
		}
	}
	return list, nil
}

// mirrorOwners lists whose links of the network are there.
func mirrorOwners(on *site.Side, network [8]byte) (holders []firewall.Holder, err error) {
	links, err := on.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if o, ok := owner.Parse(link.Attrs().Alias); ok && o.On(network) && link.Type() == "ifb" && strings.HasPrefix(link.Attrs().Name, "bwp") {
			holders = append(holders, firewall.Holder{Owner: o, Linked: !leads(on, links, o, link.Attrs().Index)})
		}
	}
	return holders, nil
}

// leads says whether a link that has not the owner's name leads to the one of that number: that of another suite, which carries the attachment.
func leads(on *site.Side, links []netlink.Link, o owner.Owner, index int) bool {
	if slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == o.HostLink() }) {
		return false
	}
	return slices.ContainsFunc(links, func(l netlink.Link) bool {
		is, err := led(on, l, index)
		return is || err != nil && !absentLink(err)
	})
}
