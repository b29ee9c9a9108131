package meter

import (
	"net/netip"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall/conntrack"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// flows are the connections that the kernel tells of.
type flows struct {
	watch *conntrack.Watch // nil where the kernel does not tell us
	table *conntrack.Table // nil where bytes are not counted
	wrong []observe.Problem

	mu    sync.Mutex // guards what has come since the last reading
	heard []conntrack.Flow
	lost  bool

	begun map[string]uint64 // by attachment
	ports map[published]*total
}

// published is a port of an attachment.
type published struct {
	attachment string
	observe.Port
}

// total is what a port has had.
type total struct {
	begun uint64
	gone  [2]Count // of connections that have ended
}

// most is how many flows may wait for a reading.
const most = 1 << 16

// listen begins to hear of flows. What cannot be heard is among what is not seen.
func listen() *flows {
	f := &flows{begun: make(map[string]uint64), ports: make(map[published]*total)}
	var err error
	switch f.watch, err = conntrack.Listen(); {
	case err != nil:
		f.wrong = append(f.wrong, observe.Problem{Object: "connections", Cause: err.Error(), Remedy: "ask as root", Hidden: true})
		return f
	case setting("nf_conntrack_events") == "0":
		f.wrong = append(f.wrong, observe.Problem{Object: "connections", Cause: "the kernel tells of none", Remedy: "sysctl -w net.netfilter.nf_conntrack_events=1"})
	}
	if setting("nf_conntrack_acct") != "1" {
		f.wrong = append(f.wrong, observe.Problem{Object: "bytes of published ports", Cause: "the kernel does not count by connection",
			Remedy: "sysctl -w net.netfilter.nf_conntrack_acct=1, for connections from then on"})
	} else if f.table, err = conntrack.Open(); err != nil {
		f.wrong = append(f.wrong, observe.Problem{Object: "bytes of published ports", Cause: err.Error()})
	}
	go f.hear()
	return f
}

func setting(name string) string {
	text, _ := os.ReadFile("/proc/sys/net/netfilter/" + name) // nothing is known of one that is not there
	return strings.TrimSpace(string(text))
}

func (f *flows) close() {
	if f.watch != nil {
		f.watch.Close()
	}
	if f.table != nil {
		f.table.Close()
	}
}

// hear keeps what comes until it is read.
func (f *flows) hear() {
	buffer := make([]byte, 64<<10)
	for {
		list, lost, err := f.watch.Next(buffer)
		if err != nil {
			return
		}
		f.mu.Lock()
		lost = lost || len(f.heard)+len(list) > most
		if f.lost = f.lost || lost; !lost {
			f.heard = append(f.heard, list...)
		}
		f.mu.Unlock()
	}
}

// take returns what has come since the last time.
func (f *flows) take() (list []conntrack.Flow, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, lost = f.heard, f.lost
	f.heard, f.lost = nil, false
	return list, lost
}

// count adds the connections to a sample. What lives is read first, so that what ends meanwhile is told of, and counted once.
func (f *flows) count(s *Sample) {
	live := make(map[uint32]conntrack.Flow)
	if f.table != nil {
		list, err := f.table.Flows()
		if err != nil {
			f.wrong = append(f.wrong, observe.Problem{Object: "bytes of published ports", Cause: err.Error()})
			f.table.Close()
			f.table = nil
		}
		for _, one := range list {
			if one.Translated() {
				live[one.ID] = one
			}
		}
	}
	heard, lost := f.take()
	at := where(s)
	for _, one := range heard {
		if one.Ended() {
			delete(live, one.ID)
		}
		f.note(at, one)
	}
	f.tell(at, s, live)
	s.Heard, s.Counted, s.Unseen = f.watch != nil, f.table != nil, append(s.Unseen, f.wrong...)
	if lost {
		s.Unseen = append(s.Unseen, observe.Problem{Object: "connections", Cause: "more began than could be counted", Remedy: "a shorter --interval"})
	}
}

// place is whose the ends of flows are.
type place struct {
	addresses map[netip.Addr]string           // an attachment
	targets   map[netip.AddrPort][]*published // the ports that lead there
}

func where(s *Sample) place {
	at := place{make(map[netip.Addr]string), make(map[netip.AddrPort][]*published)}
	for _, one := range s.Interfaces {
		for _, text := range one.Addresses {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				at.addresses[prefix.Addr()] = one.ID
			}
		}
		for _, p := range one.Ports {
			at.targets[p.Target] = append(at.targets[p.Target], &published{one.ID, p.Port})
		}
	}
	return at
}

// to is the published port that the flow came by, nil for none.
func (at place) to(f conntrack.Flow) *published {
	for _, p := range at.targets[f.Server] {
		any := !p.HostIP.IsValid() || p.HostIP.IsUnspecified()
		if f.Translated() && f.To.Port() == p.HostPort && protocols[p.Protocol] == f.Protocol && (any || p.HostIP == f.To.Addr()) {
			return p
		}
	}
	return nil
}

var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// note counts a flow that has begun, and what one had that has ended.
func (f *flows) note(at place, one conntrack.Flow) {
	var of *total
	if p := at.to(one); p != nil {
		if of = f.ports[*p]; of == nil {
			of = &total{}
			f.ports[*p] = of
		}
	}
	switch {
	case one.Ended() && of != nil:
		add(&of.gone, one)
	case one.Ended():
	default:
		if of != nil {
			of.begun++
		}
		client, server := at.addresses[one.Client.Addr()], at.addresses[one.Server.Addr()]
		if client != "" {
			f.begun[client]++
		}
		if server != "" && server != client {
			f.begun[server]++
		}
	}
}

func add(to *[2]Count, f conntrack.Flow) {
	for i, c := range []conntrack.Count{f.Asked, f.Answered} {
		to[i].Bytes += c.Bytes
		to[i].Packets += c.Packets
	}
}

// tell writes the counts into the sample: those of what has ended, and of what lives.
func (f *flows) tell(at place, s *Sample, live map[uint32]conntrack.Flow) {
	now := make(map[published]*[2]Count)
	for _, one := range live {
		if p := at.to(one); p != nil {
			if now[*p] == nil {
				now[*p] = new([2]Count)
			}
			add(now[*p], one)
		}
	}
	begun, ports := make(map[string]uint64), make(map[published]*total) // of what is still there
	for i := range s.Interfaces {
		one := &s.Interfaces[i]
		one.Connections = f.begun[one.ID]
		begun[one.ID] = one.Connections
		for j := range one.Ports {
			p := &one.Ports[j]
			id, sum := published{one.ID, p.Port}, [2]Count{}
			if of := f.ports[id]; of != nil {
				ports[id] = of
				p.Connections, sum = of.begun, of.gone
			}
			if lives := now[id]; lives != nil {
				for k := range sum {
					sum[k].Bytes += lives[k].Bytes
					sum[k].Packets += lives[k].Packets
				}
			}
			p.Received, p.Sent = sum[0], sum[1]
		}
	}
	f.begun, f.ports = begun, ports
}
