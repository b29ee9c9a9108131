package step

import (
	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Dummy is a link that leads nowhere.
type Dummy struct{}

func (d Dummy) kind() string { return "dummy" }

func (d Dummy) hangs() bool { return false }

func (d Dummy) ready(host *site.Side) error { return makes(host, d.kind(), d.kind()) }

func (d Dummy) fits(*site.Side, netlink.Link) error { return nil }

func (d Dummy) create(on *site.Side, l rtnl.Link) error {
	l.Kind = d.kind()
	return on.Conn.Send(rtnl.NewLink(l))
}

func (d Dummy) explain(_ *site.Site, _ Lone, err error) error { return err }

func (d Dummy) verify(*site.Side, netlink.Link) error { return nil }
