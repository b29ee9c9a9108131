package observe

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// crowd is a host with so many containers: a link each on the host and in the container, and a functional block beside it, all with their marks.
func crowd(number int) *reader {
	own := &Namespace{ID: hostID, Name: "host", Host: true}
	host := &Host{Namespaces: []*Namespace{own}}
	for i := range number {
		o := owner.Of("net", fmt.Sprint("c", i), "eth0")
		n := &Namespace{ID: fmt.Sprint("netns/", i+1), Name: fmt.Sprint("c", i)}
		inner := &Link{ID: n.ID + "/eth0", Name: "eth0", Up: true, Addresses: []Address{{Prefix: netip.PrefixFrom(address4(i), 16), Scope: "global"}}}
		outer := &Link{ID: hostID + "/" + o.HostLink(), Name: o.HostLink(), Up: true, Alias: o.Tag(owner.AliasRoom), Peer: inner.ID}
		beside := &Link{ID: hostID + "/" + fmt.Sprint("bwp", i), Name: fmt.Sprint("bwp", i), Kind: "ifb", Up: true, Alias: outer.Alias}
		inner.Peer, n.Links, own.Links = outer.ID, []*Link{inner}, append(own.Links, outer, beside)
		host.Namespaces = append(host.Namespaces, n)
		host.Reservations = append(host.Reservations, &Reservation{ID: "net/" + address4(i).String(), Network: "net", ContainerID: fmt.Sprint("c", i), IfName: "eth0", Address: address4(i)})
	}
	return &reader{host: host, directory: &directory{}}
}

func address4(number int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(number >> 8), byte(number)})
}

// Each finds its own, among however many: its link, its container's, what stands beside it, its reservation.
func TestCrowd(t *testing.T) {
	r := crowd(300)
	r.attach(t.Context())
	if len(r.host.Attachments) != 300 {
		t.Fatalf("%d attachments, want 300", len(r.host.Attachments))
	}
	for i := range 300 {
		a := r.host.Attachment(fmt.Sprintf("net/c%d/eth0", i))
		if a == nil || a.Link != fmt.Sprintf("netns/%d/eth0", i+1) || r.host.Link(a.HostLink).Attachment != a.ID ||
			r.host.Own().Named(fmt.Sprint("bwp", i)).Attachment != a.ID || r.host.Reservations[i].Attachment != a.ID || !r.host.Namespace(a.Namespace).Has(address4(i)) {
			t.Fatalf("c%d: %+v", i, a)
		}
	}
	if r.host.Link("netns/1/eth7") != nil || r.host.Link("") != nil || r.host.Namespace("netns/999") != nil || r.host.Attachment("x") != nil {
		t.Error("what is not there was found")
	}
}

// A container whose name does not fit into a tag is one attachment, whole names and all, by whatever tells of it first.
func TestCutTags(t *testing.T) {
	long := strings.Repeat("x", 200)
	own := &Namespace{ID: hostID, Name: "host", Host: true}
	r := &reader{host: &Host{Namespaces: []*Namespace{own}}, directory: &directory{}}
	for i := range 3 { // of the third nothing but its link tells
		o := owner.Of("a-network", fmt.Sprint(long, i), "interface0")
		own.Links = append(own.Links, &Link{ID: hostID + "/" + o.HostLink(), Name: o.HostLink(), Up: true, Alias: o.Tag(owner.AliasRoom), Origin: Trestle})
		if i < 2 {
			r.host.Reservations = append(r.host.Reservations, &Reservation{ID: fmt.Sprint(i), Network: "a-network", ContainerID: fmt.Sprint(long, i), IfName: "interface0", Address: address4(i)})
		}
	}
	r.attach(t.Context())
	if len(r.host.Attachments) != 3 {
		t.Fatalf("%d attachments, want three", len(r.host.Attachments))
	}
	for i, v := range r.host.Reservations {
		a := r.host.Attachment(fmt.Sprintf("a-network/%s%d/interface0", long, i))
		if a == nil || a.HostLink != own.Links[i].ID || v.Attachment != a.ID || a.IfName != "interface0" || a.Origin != Trestle || own.Links[i].Attachment != a.ID {
			t.Errorf("%+v", a)
		}
	}
}

// BenchmarkAttach shows that a container costs the same among many: compare the times an attachment.
func BenchmarkAttach(b *testing.B) {
	for _, number := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(number), func(b *testing.B) {
			for b.Loop() {
				crowd(number).attach(b.Context())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*number), "ns/attachment")
		})
	}
}
