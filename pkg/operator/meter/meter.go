// Package meter counts what containers send and receive: by the counters that every link has anyway, and by what the kernel tells of connections while
// somebody looks. It changes nothing on the host, and nothing costs while nobody looks.
package meter

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Count is how much has gone one way.
type Count struct {
	Bytes   uint64 `json:"bytes"` // with the headers, as the link counts them
	Packets uint64 `json:"packets"`
}

// Interface is what one interface of a container has received and sent since it was made.
type Interface struct {
	*observe.Attachment
	Received, Sent Count
	Unseen         string // why it is not known; then both are nothing
	Connections    uint64 // that it began or answered since the meter was opened, of those that the host tracks
	Ports          []Port
}

// Port is what a published port has had.
type Port struct {
	observe.Port
	Connections    uint64 // since the meter was opened
	Received, Sent Count  // by the container, of connections that lived since then; nothing where the kernel does not count
}

// Sample is one reading of all counters.
type Sample struct {
	Time       time.Time
	Interfaces []Interface
	Heard      bool              // of connections
	Counted    bool              // were bytes by connection, and so by published port
	Dropped    []nft.Dropped     // by each rule of ours that drops
	Unseen     []observe.Problem // what is not counted, and why
}

// Meter reads a host again and again. Who is where is looked at again when links or the runtimes' results have changed.
type Meter struct {
	options observe.Options
	home    int
	conn    *rtnl.Conn
	picture *observe.Host
	written time.Time // when a result was written or removed last
	flows   *flows
	filter  *nft.Filter
}

// Open begins to count the host that the process is on.
func Open(o observe.Options) (*Meter, error) {
	conn, err := rtnl.Open()
	if err != nil {
		return nil, err
	}
	home, err := netns.Home()
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Meter{options: o, home: home, conn: conn, flows: listen(), filter: nft.Open()}, nil
}

// Close ends it.
func (m *Meter) Close() {
	m.flows.close()
	m.filter.Close()
	m.conn.Close()
	unix.Close(m.home)
}

// Host is the host as it was when the last reading was made, less its counters.
func (m *Meter) Host() *observe.Host { return m.picture }

// Read reads all counters.
func (m *Meter) Read(ctx context.Context) (*Sample, error) {
	traffic, err := m.conn.Traffic()
	if err != nil {
		return nil, err
	}
	if m.stale(traffic) {
		if m.picture, err = observe.Read(ctx, m.options); err != nil {
			return nil, err
		}
	}
	s := &Sample{Time: time.Now()}
	all := counters{m.picture.Own().ID: traffic}
	for _, a := range m.picture.Attachments {
		if one, is := m.count(a, all); is {
			s.Interfaces = append(s.Interfaces, one)
		}
	}
	m.flows.count(s)
	if s.Dropped, err = m.filter.Dropped(); err != nil {
		s.Unseen = append(s.Unseen, observe.Problem{Object: "packets that our rules drop", Cause: err.Error(), Remedy: "ask as root", Hidden: true})
	}
	s.Unseen = append(s.Unseen, m.picture.Problems...)
	return s, nil
}

// stale says whether the picture is not the host's any more.
func (m *Meter) stale(traffic map[int]rtnl.Traffic) bool {
	info, err := os.Stat(m.options.Results)
	if err == nil && info.ModTime() != m.written {
		m.written = info.ModTime()
		return true
	}
	if m.picture == nil || len(traffic) != len(m.picture.Own().Links) {
		return true
	}
	for _, l := range m.picture.Own().Links {
		if _, there := traffic[l.Index]; !there {
			return true
		}
	}
	return false
}
