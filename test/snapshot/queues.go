package snapshot

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// queues returns a line for each queue that somebody made, and for each filter of what comes in.
func queues(names map[int]string) (lines []string, err error) {
	list, err := netlink.QdiscList(nil)
	if err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	for _, q := range list {
		a := q.Attrs()
		if a.Handle == 0 {
			continue
		}
		line := fmt.Sprintf("queue %s %s %x parent %x", names[a.LinkIndex], q.Type(), a.Handle, a.Parent)
		if tbf, is := q.(*netlink.Tbf); is {
			line += fmt.Sprintf(" rate %d limit %d buffer %d", tbf.Rate, tbf.Limit, tbf.Buffer)
		}
		lines = append(lines, line)
		if q.Type() != "ingress" && q.Type() != "clsact" {
			continue
		}
		link, err := netlink.LinkByIndex(a.LinkIndex)
		if err != nil {
			continue // gone since
		}
		filters, err := netlink.FilterList(link, a.Handle|0xfff2)
		if err != nil {
			return nil, fmt.Errorf("filters: %w", err)
		}
		for _, f := range filters {
			lines = append(lines, fmt.Sprintf("filter %s %s priority %d protocol %x", names[a.LinkIndex], f.Type(), f.Attrs().Priority, f.Attrs().Protocol))
		}
	}
	return lines, nil
}
