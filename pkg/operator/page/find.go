package page

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Kind is a kind of thing that a page can be about.
type Kind string

// The kinds, in the order in which they are asked.
const (
	KindContainer Kind = "container"
	KindNamespace Kind = "namespace"
	KindNetwork   Kind = "network"
	KindLink      Kind = "link"
	KindMAC       Kind = "mac"
	KindAddress   Kind = "address"
	KindPort      Kind = "port"
)

// Thing is something that a page can be about. One of the fields below Name is set, but that the attachments of a container or a port go with it.
type Thing struct {
	Kind Kind
	Name string

	Namespace   *observe.Namespace
	Link        *observe.Link
	Attachments []*observe.Attachment
	Address     netip.Addr
}

func (t Thing) String() string { return string(t.Kind) + ":" + t.Name }

// Find returns what the words name: a container by its id or the beginning of it, by its pod's name, or by a device that it was lent, a namespace, a network, a link, a MAC, an address, or a
// published port (8080, 8080/udp, 127.0.0.1:8080). A kind and a colon before them leave the others out. What is named exactly comes before
// what only begins so. Nothing, or several, is a fault that lists what there is.
func Find(h *observe.Host, words string) (Thing, error) {
	only, name := split(words)
	found := matches(all(h), only, name)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Thing{}, fault.New(fault.Taken, "name one of them: "+names(found), "%q: there are %d of that name", words, len(found))
	}
	hint := "see trestle ls"
	if near := nearest(all(h), only, name); len(near) > 0 {
		hint = "nearest: " + names(near)
	}
	seen := ""
	if !h.Seen() {
		seen, hint = ", as far as could be seen", hint+"; as root more is seen"
	}
	return Thing{}, fault.New(fault.Config, hint, "%q: there is no such container, namespace, network, link, address or published port%s", words, seen)
}

// Namespace returns the namespace that the words name: beside what Find takes, an inode number, a path or a process's number.
func Namespace(h *observe.Host, words string) (*observe.Namespace, error) {
	for _, n := range h.Namespaces {
		process := slices.ContainsFunc(n.Processes, func(p observe.Process) bool { return strconv.Itoa(p.PID) == words })
		if n.ID == words || strconv.FormatUint(n.Inode, 10) == words || slices.Contains(n.Paths, words) || process {
			return n, nil
		}
	}
	t, err := Find(h, words)
	switch {
	case err != nil:
		return nil, err
	case t.Namespace != nil:
		return t.Namespace, nil
	case len(t.Attachments) > 0:
		if n := h.Namespace(t.Attachments[0].Namespace); n != nil {
			return n, nil
		}
	}
	return nil, fault.New(fault.Namespace, "", "%s: no network namespace of it is left, or none can be entered", t)
}

// split takes the kind off the words.
func split(words string) (only Kind, name string) {
	kinds := []Kind{KindContainer, KindNamespace, KindNetwork, KindLink, KindMAC, KindAddress, KindPort}
	if before, after, ok := strings.Cut(words, ":"); ok && slices.Contains(kinds, Kind(before)) {
		return Kind(before), after
	}
	return "", words
}

// all are the things that there are.
func all(h *observe.Host) (list []Thing) {
	list = append(list, containers(h)...)
	for _, n := range h.Networks {
		list = append(list, Thing{Kind: KindNetwork, Name: n.Name})
	}
	for _, n := range h.Namespaces {
		list = append(list, Thing{Kind: KindNamespace, Name: n.Name, Namespace: n})
		for _, l := range n.Links {
			list = append(list, Thing{Kind: KindLink, Name: linkName(n, l), Namespace: n, Link: l})
			if l.MAC != "" && l.Name != "lo" {
				list = append(list, Thing{Kind: KindMAC, Name: l.MAC, Namespace: n, Link: l})
			}
		}
	}
	return append(append(list, addressThings(h)...), portThings(h)...)
}

// linkName is by which a link is told from those of other namespaces.
func linkName(n *observe.Namespace, l *observe.Link) string {
	if n.Host {
		return l.Name
	}
	return n.Name + "/" + l.Name
}

func containers(h *observe.Host) (list []Thing) {
	byID := make(map[string]int)
	for _, a := range h.Attachments {
		i, known := byID[a.ContainerID]
		if !known {
			i = len(list)
			byID[a.ContainerID] = i
			list = append(list, Thing{Kind: KindContainer, Name: a.ContainerID})
		}
		list[i].Attachments = append(list[i].Attachments, a)
	}
	return list
}

// addressThings are the addresses of links and those that attachments have or had. What every namespace has is the host's alone.
func addressThings(h *observe.Host) (list []Thing) {
	known := make(map[netip.Addr]bool)
	add := func(a netip.Addr) {
		if a.IsValid() && !known[a] {
			known[a] = true
			list = append(list, Thing{Kind: KindAddress, Name: a.String(), Address: a})
		}
	}
	for _, n := range h.Namespaces {
		for _, l := range n.Links {
			for _, a := range l.Addresses {
				add(a.Prefix.Addr())
			}
		}
	}
	for _, a := range h.Attachments {
		for _, text := range a.Addresses {
			add(addrOf(text))
		}
	}
	for _, r := range h.Reservations {
		add(r.Address)
	}
	return list
}

// addrOf reads an address with or without the length of its prefix.
func addrOf(text string) netip.Addr {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr()
	}
	a, _ := netip.ParseAddr(text) // what is none equals nothing
	return a
}

func portThings(h *observe.Host) (list []Thing) {
	for _, a := range h.Attachments {
		for _, p := range a.Ports {
			list = append(list, Thing{Kind: KindPort, Name: portName(p), Attachments: []*observe.Attachment{a}})
		}
	}
	return list
}

// portName is how a port is named: 8080/tcp, or 127.0.0.1:8080/tcp where it is of one address.
func portName(p observe.Port) string {
	port := strconv.Itoa(int(p.HostPort))
	if p.HostIP.IsValid() {
		port = netip.AddrPortFrom(p.HostIP, p.HostPort).String()
	}
	return port + "/" + p.Protocol
}

// matches are the things that the name names exactly or, where there is none, those that begin so.
func matches(list []Thing, only Kind, name string) []Thing {
	for _, is := range []func(Thing, string) bool{exactly, begins} {
		var found []Thing
		for _, t := range list {
			if (only == "" || t.Kind == only) && name != "" && is(t, name) {
				found = append(found, t)
			}
		}
		if len(found) > 0 {
			return merged(found)
		}
	}
	return nil
}

// merged leaves one of several things that have one page: the ports of one container, with all of its attachments that have them, a namespace named as its container.
func merged(found []Thing) []Thing {
	var list []Thing
	for _, t := range found {
		twin := slices.IndexFunc(list, func(o Thing) bool {
			return t.Kind == KindPort && o.Kind == KindPort && o.Attachments[0].ContainerID == t.Attachments[0].ContainerID ||
				t.Kind == KindNamespace && o.Kind == KindContainer && t.Namespace.ID == o.Attachments[0].Namespace
		})
		switch {
		case twin < 0:
			list = append(list, t)
		case t.Kind == KindPort && !slices.Contains(list[twin].Attachments, t.Attachments[0]):
			list[twin].Attachments = append(list[twin].Attachments, t.Attachments[0])
		}
	}
	return list
}

func exactly(t Thing, name string) bool {
	if t.Name == name {
		return true
	}
	switch t.Kind {
	case KindContainer:
		return slices.ContainsFunc(t.pods(), func(pod string) bool { return pod == name || filepath.Base(pod) == name }) ||
			slices.ContainsFunc(t.Attachments, func(a *observe.Attachment) bool { return a.Device == name })
	case KindNamespace:
		return t.Namespace.ID == name || slices.Contains(t.Namespace.Paths, name)
	case KindLink:
		return t.Link.ID == name || t.Link.Name == name && !strings.Contains(name, "/")
	case KindMAC:
		mac, err := net.ParseMAC(name)
		return err == nil && mac.String() == t.Name
	case KindAddress:
		return t.Address == addrOf(name)
	case KindPort:
		return t.Name == name || portWithout(t.Name) == name || isPort(t.Name, name)
	}
	return false
}

// pods are the names that the container has as a pod.
func (t Thing) pods() (list []string) {
	for _, a := range t.Attachments {
		if t.Kind == KindContainer && a.Pod != "" {
			list = append(list, a.Pod)
		}
	}
	return list
}

// portWithout is a port's name without its protocol.
func portWithout(name string) string { return name[:strings.LastIndexByte(name, '/')] }

// isPort says whether a port of one address is meant by the number alone, with or without its protocol.
func isPort(full, name string) bool {
	number := full[strings.LastIndexByte(portWithout(full), ':')+1:]
	return number == name || portWithout(number) == name
}

func begins(t Thing, name string) bool {
	whole := t.Kind == KindAddress || t.Kind == KindPort // of which a part says nothing
	return !whole && strings.HasPrefix(filepath.Base(t.Name), name) && len(name) >= 2
}

// few is how many names are listed.
const few = 8

func names(list []Thing) string {
	var texts []string
	for _, t := range list[:min(len(list), few)] {
		texts = append(texts, t.String())
	}
	if more := len(list) - few; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}
