package meter

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// counters are those of the links of namespaces, by the namespace and the link's index; nil for one that was looked at in vain.
type counters map[string]map[int]rtnl.Traffic

// count is what an attachment's interface has received and sent. Of a pair the host's end says it, to anybody; what has no other end on the host is
// asked in its namespace. It says false of what has no interface: what is left of the dead, and lo.
func (m *Meter) count(a *observe.Attachment, all counters) (one Interface, is bool) {
	one = Interface{Attachment: a}
	for _, p := range a.Ports {
		one.Ports = append(one.Ports, Port{Port: p})
	}
	n := m.picture.Namespace(a.Namespace)
	switch link, host := m.picture.Link(a.Link), m.picture.Link(a.HostLink); {
	case a.IfName == "lo":
		return one, false
	case host != nil:
		t := all[m.picture.Own().ID][host.Index]
		one.Received, one.Sent = Count{t.SentBytes, t.SentPackets}, Count{t.ReceivedBytes, t.ReceivedPackets}
	case link != nil:
		t, err := m.inside(n, link, all)
		if err != nil {
			one.Unseen = err.Error()
		}
		one.Received, one.Sent = Count{t.ReceivedBytes, t.ReceivedPackets}, Count{t.SentBytes, t.SentPackets}
	case n != nil && n.Closed != "":
		one.Unseen = n.Closed
	default:
		return one, false
	}
	return one, true
}

// inside asks for a link's counters in the namespace that it is in, once for all links there.
func (m *Meter) inside(n *observe.Namespace, l *observe.Link, all counters) (t rtnl.Traffic, err error) {
	if _, asked := all[n.ID]; !asked {
		all[n.ID], err = m.enter(n)
	}
	t, there := all[n.ID][l.Index]
	if err == nil && !there {
		err = fmt.Errorf("%s: %w", strings.TrimPrefix(l.ID, n.ID+"/"), unix.ENODEV)
	}
	return t, err
}

// enter reads the counters of a namespace's links. It is not kept open: it would outlive its container.
func (m *Meter) enter(n *observe.Namespace) (all map[int]rtnl.Traffic, err error) {
	file, err := n.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	err = netns.Do(int(file.Fd()), m.home, func() error {
		conn, err := rtnl.Open()
		if err != nil {
			return err
		}
		defer conn.Close()
		all, err = conn.Traffic()
		return err
	})
	return all, err
}
