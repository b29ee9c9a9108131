package tool

import (
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/operator/logbook"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/page"
)

// lastShown is how many verbs a page ends with.
const lastShown = 5

// happened is the section of the last verbs for the containers of these attachments, the newest last. Where no log is kept, or none of it is about
// them, it has no rows.
func happened(list []*observe.Attachment) page.Section {
	s := page.Section{Title: "what happened last"}
	log, err := journal.Read()
	if err != nil || log.To == "" {
		return s
	}
	var last []journal.Entry
	_ = logbook.Read(log, logbook.Query{}, func(e journal.Entry) bool { // what cannot be read, trestle log tells of
		if e.Container != "" && slices.ContainsFunc(list, func(a *observe.Attachment) bool { return a.ContainerID == e.Container }) {
			if last = append(last, e); len(last) > lastShown {
				last = last[1:]
			}
		}
		return true
	})
	for _, e := range last {
		row := page.Row{Cells: []string{e.Time.Local().Format("2006-01-02 15:04:05"), e.Verb + " " + e.Plugin, e.Network + "/" + e.Interface, "ok"}}
		if e.Code != 0 {
			row.Cells[3], row.Mark = fmt.Sprintf("code %d: %s", e.Code, e.Error), page.Bad
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}
