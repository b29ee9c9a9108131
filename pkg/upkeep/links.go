package upkeep

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nlsocket"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// links knows the links of the host, from rtnetlink's words, so that what others take from them is told from what a DEL takes, with which the link goes, too.
type links struct {
	known     map[int]netlink.LinkAttrs
	concerned map[int]string // what happened to those that are to be looked at
	come      bool           // one of ours is new
}

// quiet is how long is waited for what goes with a change: a link that is deleted goes down first.
const quiet = 100 * time.Millisecond

// awaitLinks subscribes, and reads the links that there are.
func (w *watch) awaitLinks(ctx context.Context) (*nlsocket.Events, *links, error) {
	events, err := nlsocket.Listen(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, nil, fmt.Errorf("rtnetlink: %w", err)
	}
	context.AfterFunc(ctx, events.Close)
	l := &links{concerned: make(map[int]string)}
	return events, l, l.look()
}

func (l *links) look() error {
	conn, err := rtnl.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	all, err := conn.Links()
	if err != nil {
		return err
	}
	l.known = make(map[int]netlink.LinkAttrs, len(all))
	for _, link := range all {
		l.known[link.Attrs().Index] = *link.Attrs()
	}
	return nil
}

// readLinks takes in what rtnetlink tells, and hands on what is left of it when it is quiet.
func (w *watch) readLinks(ctx context.Context, events *nlsocket.Events, l *links) {
	for ctx.Err() == nil {
		err := events.Next(l.take)
		w.Stir()
		switch {
		case errors.Is(err, nlsocket.ErrLost):
			_ = l.look() // what it knows stays known where that fails: all are asked about in any case
			w.ask("events of links were lost")
		case err != nil:
			w.lose(ctx, err)
			return
		}
		if (len(l.concerned) > 0 || l.come) && !events.Pending(quiet) {
			for _, what := range l.left() {
				w.ask(what)
			}
			if l.come {
				w.comes()
			}
			l.come = false
		}
	}
}

// take takes in one message.
func (l *links) take(m nlsocket.Message) {
	switch m.Type {
	case unix.RTM_NEWLINK:
		if link, err := netlink.LinkDeserialize(nil, m.Data); err == nil {
			l.changed(*link.Attrs())
		}
	case unix.RTM_DELLINK:
		if link, err := netlink.LinkDeserialize(nil, m.Data); err == nil && link.Attrs().MasterIndex == 0 {
			l.gone(link)
		}
	case unix.RTM_DELADDR:
		l.concern(index(m.Data), "an address of %s was removed")
	case unix.RTM_DELROUTE:
		l.concern(routedTo(m.Data), "a route by %s was removed")
	}
}

func (l *links) changed(now netlink.LinkAttrs) {
	was, known := l.known[now.Index]
	l.known[now.Index] = now
	l.come = l.come || marked(now) && !marked(was)
	const up = unix.IFF_UP
	switch {
	case !known:
	case was.RawFlags&up != 0 && now.RawFlags&up == 0:
		l.concern(now.Index, "%s was set down")
	case was.MasterIndex != 0 && was.MasterIndex != now.MasterIndex:
		l.concern(now.Index, "%s was taken off its bridge")
	}
}

// gone forgets a link. With a bridge goes what its containers are attached to; with any other its attachment.
func (l *links) gone(link netlink.Link) {
	at := link.Attrs().Index
	was := l.known[at]
	delete(l.concerned, at)
	if link.Type() == "bridge" && l.ours(was) {
		l.concerned[at] = "bridge " + was.Name + " was removed"
	}
	delete(l.known, at)
}

func (l *links) concern(at int, what string) {
	if link, known := l.known[at]; known && l.ours(link) {
		l.concerned[at] = fmt.Sprintf(what, "link "+link.Name)
	}
}

// ours says whether the link was made by us, or has a port that was.
func (l *links) ours(link netlink.LinkAttrs) bool {
	if marked(link) {
		return true
	}
	for _, port := range l.known {
		if port.MasterIndex == link.Index && marked(port) {
			return true
		}
	}
	return false
}

func marked(link netlink.LinkAttrs) bool {
	_, tagged := owner.Parse(link.Alias)
	return tagged || strings.HasPrefix(link.Alias, "trestle ")
}

// left is what happened to links that are still there, or are bridges.
func (l *links) left() (list []string) {
	for at, what := range l.concerned {
		list = append(list, what)
		delete(l.concerned, at)
	}
	return list
}

// index is the link of struct ifaddrmsg.
func index(data []byte) int {
	if len(data) < unix.SizeofIfAddrmsg {
		return 0
	}
	return int(binary.NativeEndian.Uint32(data[4:]))
}

// routedTo is the link of a route of the table main (struct rtmsg, RTA_OIF); 0 for any other.
func routedTo(data []byte) int {
	if len(data) < unix.SizeofRtMsg || data[4] != unix.RT_TABLE_MAIN {
		return 0
	}
	for data = data[unix.SizeofRtMsg:]; len(data) >= unix.SizeofRtAttr; {
		length := int(binary.NativeEndian.Uint16(data))
		if length < unix.SizeofRtAttr || length > len(data) {
			break
		}
		if binary.NativeEndian.Uint16(data[2:]) == unix.RTA_OIF && length == unix.SizeofRtAttr+4 {
			return int(binary.NativeEndian.Uint32(data[unix.SizeofRtAttr:]))
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return 0
}
