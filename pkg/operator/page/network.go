package page

import (
	"fmt"
	"math"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// network is the view of one network: where it is configured, how much of its addresses is in use, and who is attached to it.
func network(h *observe.Host, name string) []Section {
	about := Section{Title: "network"}
	var ranges []Section
	if n := h.Network(name); n != nil {
		for _, file := range n.Files {
			about.fact("file", file)
		}
		if len(n.Files) == 0 {
			about.fact("file", "none: it is known by what is left of it")
		}
		about.fact("plugins", strings.Join(n.Plugins, " "))
		ranges = append(ranges, rangeSection(n))
	}
	return append(append([]Section{about}, ranges...), attachedSection(h, name))
}

func rangeSection(n *observe.Network) Section {
	s := Section{Title: "addresses", Head: []string{"SUBNET", "FROM", "TO", "USED", "OF"}}
	for _, r := range n.Ranges {
		size, mark := fmt.Sprint(r.Size), Plain
		if r.Size == math.MaxUint64 {
			size = "2^64 or more"
		}
		used := fmt.Sprint(r.Used)
		switch {
		case r.Uncounted:
			used = "unknown"
		case uint64(r.Used) >= r.Size:
			mark = Bad
		}
		s.row(mark, r.Subnet.String(), r.First.String(), r.Last.String(), used, size)
	}
	return s
}

func attachedSection(h *observe.Host, name string) Section {
	s := Section{Title: "attachments", Head: []string{"CONTAINER", "POD", "INTERFACE", "ADDRESSES", "HOST LINK", "BRIDGE", "STATE"}}
	for _, a := range h.Attachments {
		if a.Network == name {
			s.row(stateMark(a), a.ContainerID, a.Pod, a.IfName, strings.Join(a.Addresses, " "), LinkName(a.HostLink), LinkName(a.Bridge), string(a.State))
		}
	}
	return s
}
