package tool

import (
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/operator/meter"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// topAnswer is what `trestle top --json` prints: an object a line, or with --once one.
type topAnswer struct {
	Time       time.Time         `json:"time"`
	Seconds    float64           `json:"seconds"` // since the reading before: what is said of a second is an average of these
	Interfaces []topLine         `json:"interfaces"`
	Dropped    []topDropped      `json:"dropped"` // by rules of ours in nftables, those that have dropped something
	Unseen     []observe.Problem `json:"unseen"`  // what is not counted, so that something may be missing above
}

// topLine is one interface of a container.
type topLine struct {
	ID          string    `json:"id"`
	Network     string    `json:"network"`
	ContainerID string    `json:"containerID"`
	IfName      string    `json:"ifname"`
	Pod         string    `json:"pod,omitempty"`
	Received    *topCount `json:"received,omitempty"` // by the container
	Sent        *topCount `json:"sent,omitempty"`
	Connections *topBegun `json:"connections,omitempty"` // that it began or answered, of those that the host tracks
	Ports       []topPort `json:"ports,omitempty"`
}

// topPort is a published port.
type topPort struct {
	Port        observe.Port `json:"port"`
	Received    *topCount    `json:"received,omitempty"` // by the container, of connections that lived since top began; absent where the kernel does not count by connection
	Sent        *topCount    `json:"sent,omitempty"`
	Connections *topBegun    `json:"connections,omitempty"`
}

// topDropped is what a rule has dropped since its table was made. Whose packet it drops, `trestle trace` says.
type topDropped struct {
	Reason  string   `json:"reason"` // why, in the words of people
	Table   string   `json:"table"`
	Chain   string   `json:"chain"`
	Rule    string   `json:"rule"`    // as nft(8) has it
	Dropped topCount `json:"dropped"` // as the hook sees it: with the network header, in the bridge family less the frame's own
}

// topCount is how much has gone one way, in all and in a second.
type topCount struct {
	Bytes            uint64  `json:"bytes"`
	Packets          uint64  `json:"packets"`
	BytesPerSecond   float64 `json:"bytesPerSecond"`
	PacketsPerSecond float64 `json:"packetsPerSecond"`
}

// topBegun is how many connections have begun since top began, and in a second.
type topBegun struct {
	Count     uint64  `json:"count"`
	PerSecond float64 `json:"perSecond"`
}

// comparison is of two readings.
type comparison struct {
	seconds        float64 // between them
	heard, counted bool    // see meter.Sample
}

// line is an interface as it is now, beside what it was before; nil for one that was not there.
func (c comparison) line(was, now *meter.Interface) topLine {
	l := topLine{ID: now.ID, Network: now.Network, ContainerID: now.ContainerID, IfName: now.IfName, Pod: now.Pod}
	if was == nil {
		was = &meter.Interface{}
	}
	if was.Unseen != "" { // how much went meanwhile is not known
		c.seconds = 0
	}
	if now.Unseen == "" {
		l.Received, l.Sent = c.count(was.Received, now.Received), c.count(was.Sent, now.Sent)
	}
	l.Connections = c.begun(was.Connections, now.Connections)
	for _, p := range now.Ports {
		var old meter.Port
		for _, o := range was.Ports {
			if o.Port == p.Port {
				old = o
			}
		}
		port := topPort{Port: p.Port, Connections: c.begun(old.Connections, p.Connections)}
		if c.counted {
			port.Received, port.Sent = c.flows(old.Received, p.Received), c.flows(old.Sent, p.Sent)
		}
		l.Ports = append(l.Ports, port)
	}
	return l
}

func (c comparison) count(was, now meter.Count) *topCount {
	return &topCount{now.Bytes, now.Packets, c.rate(was.Bytes, now.Bytes), c.rate(was.Packets, now.Packets)}
}

// flows is count of what connections had: of one whose end was not told, or that somebody set to nothing, less is known than before, and that is nothing that went.
func (c comparison) flows(was, now meter.Count) *topCount {
	return c.count(meter.Count{Bytes: min(was.Bytes, now.Bytes), Packets: min(was.Packets, now.Packets)}, now)
}

func (c comparison) begun(was, now uint64) *topBegun {
	if !c.heard {
		return nil
	}
	return &topBegun{now, c.rate(was, now)}
}

// dropped is what the rules have dropped, less those that have dropped nothing. A rule is the same where it stands at the same place of a reading.
func (c comparison) dropped(was, now []nft.Dropped) []topDropped {
	list := []topDropped{}
	for i, d := range now {
		old := meter.Count{}
		if i < len(was) && was[i].Chain == d.Chain && was[i].Rule == d.Rule {
			old = meter.Count{Bytes: was[i].Bytes, Packets: was[i].Packets}
		}
		if d.Packets > 0 {
			list = append(list, topDropped{d.Reason, d.Table, d.Chain, d.Rule, *c.count(old, meter.Count{Bytes: d.Bytes, Packets: d.Packets})})
		}
	}
	return list
}

// rate is how much a counter has grown in a second; one that began anew began at nothing.
func (c comparison) rate(was, now uint64) float64 {
	if now < was {
		was = 0
	}
	if c.seconds <= 0 {
		return 0
	}
	return float64(now-was) / c.seconds
}
