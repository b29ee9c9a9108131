// Package kube follows the Nodes of a cluster: of each it keeps a name, an age, the CIDRs of its pods, its addresses and which machine it is, and nothing else that
// the API server sends. It writes nothing there; list and watch of nodes are all the rights that it needs.
package kube

import (
	"net/netip"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// object is a Node as far as it is read: what is no member here is never in memory.
type object struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metadata `json:"metadata"`
	Spec            struct {
		PodCIDR  string   `json:"podCIDR"`
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses []address `json:"addresses"`
		Info      struct {
			Boot string `json:"bootID"`
			UUID string `json:"systemUUID"`
		} `json:"nodeInfo"`
	} `json:"status"`
}

type metadata struct {
	Name              string      `json:"name"`
	ResourceVersion   string      `json:"resourceVersion"`
	CreationTimestamp metav1.Time `json:"creationTimestamp"`
	Annotations       struct {
		End string `json:"k8s.io/initial-events-end"` // the one that a watch means something by
	} `json:"annotations"`
}

type address struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// objects is a page of a list.
type objects struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []object `json:"items"`
}

// GetObjectMeta is what client-go reads of an object.
func (o *object) GetObjectMeta() metav1.Object {
	m := &metav1.ObjectMeta{Name: o.Metadata.Name, ResourceVersion: o.Metadata.ResourceVersion, CreationTimestamp: o.Metadata.CreationTimestamp}
	if end := o.Metadata.Annotations.End; end != "" {
		m.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: end}
	}
	return m
}

// DeepCopyObject is what client-go wants of an object.
func (o *object) DeepCopyObject() runtime.Object {
	c := *o
	c.Spec.PodCIDRs, c.Status.Addresses = slices.Clone(o.Spec.PodCIDRs), slices.Clone(o.Status.Addresses)
	return &c
}

// DeepCopyObject is what client-go wants of a list.
func (l *objects) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = make([]object, len(l.Items))
	for i := range l.Items {
		c.Items[i] = *l.Items[i].DeepCopyObject().(*object)
	}
	return &c
}

// Node is what is kept of one.
type Node struct {
	Name    string
	Created time.Time
	CIDRs   []netip.Prefix // of its pods; one of each family at the most
	Via     []netip.Addr   // its own addresses
	Boot    string         // which machine its kubelet says it is, and under which boot; "": no kubelet has
	UUID    string
	Wrong   string // a CIDR that is none
}

// node parses the object.
func (o *object) node() Node {
	n := Node{Name: o.Metadata.Name, Created: o.Metadata.CreationTimestamp.Time, Boot: o.Status.Info.Boot, UUID: o.Status.Info.UUID}
	texts := o.Spec.PodCIDRs
	if len(texts) == 0 && o.Spec.PodCIDR != "" { // as before Kubernetes 1.16, or by hand
		texts = []string{o.Spec.PodCIDR}
	}
	for _, text := range texts {
		cidr, err := netip.ParsePrefix(text)
		if err != nil || cidr != cidr.Masked() || cidr.Addr().Is4In6() {
			n.Wrong = text
			continue
		}
		n.CIDRs = append(n.CIDRs, cidr)
	}
	for _, a := range o.Status.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil && a.Type == "InternalIP" && addr.Zone() == "" {
			n.Via = append(n.Via, addr.Unmap())
		}
	}
	return n
}

func (n Node) equal(o Node) bool {
	return n.Name == o.Name && n.Created.Equal(o.Created) && slices.Equal(n.CIDRs, o.CIDRs) && slices.Equal(n.Via, o.Via) &&
		n.Boot == o.Boot && n.UUID == o.UUID && n.Wrong == o.Wrong
}
