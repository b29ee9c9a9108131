package tool

import (
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/page"
)

// listAnswer is what `trestle ls --json` prints.
type listAnswer struct {
	Attachments []*observe.Attachment `json:"attachments"`
	Problems    []observe.Problem     `json:"problems"` // what could not be read, so that something may be missing above
}

// showAnswer is what `trestle show --json` prints.
type showAnswer struct {
	Kind        page.Kind             `json:"kind"` // container, namespace, network, link, mac, address or port
	Name        string                `json:"name"`
	Attachments []*observe.Attachment `json:"attachments"` // those that the thing is, or is a part of
	Network     *observe.Network      `json:"network,omitempty"`
	Link        *observe.Link         `json:"link,omitempty"`
	Namespace   *observe.Namespace    `json:"namespace,omitempty"` // of a link, the one that it is in
	Page        *page.Page            `json:"page"`                // the page as it is printed for people
	Problems    []observe.Problem     `json:"problems"`
}

// contextAnswer is what `trestle context --json` prints; with --diff it is a page.
type contextAnswer struct {
	Namespace *observe.Namespace `json:"namespace"`
	Problems  []observe.Problem  `json:"problems"`
}

// gcAnswer is what `trestle gc --json` prints.
type gcAnswer struct {
	Done     bool     `json:"done"` // by --yes it was removed; else it would be
	Networks int      `json:"networks"`
	Lines    []gcLine `json:"removed"`
	Notes    []gcLine `json:"notes,omitempty"` // what stays, and why, as the plugins say it
}

// gcLine is something that was removed, or would be.
type gcLine struct {
	Network string `json:"network"`
	What    string `json:"what"` // and the proof that nobody has it
}

// repairAnswer is what `trestle repair --json` prints.
type repairAnswer struct {
	Attachments []repaired `json:"attachments"`
}

// repaired is what became of one attachment.
type repaired struct {
	Attachment string   `json:"attachment"`
	Fate       fate     `json:"fate"`
	Made       []string `json:"made,omitempty"`  // again
	Error      string   `json:"error,omitempty"` // what is still not as it was made
	Remedy     string   `json:"remedy,omitempty"`
}

// again says of one that is as it was made again what of it was made: what it shares, another may have made.
func (r repaired) again() string {
	if len(r.Made) == 0 {
		return "whole again: " + r.Attachment
	}
	return "made again: " + r.Attachment + ": " + strings.Join(r.Made, ", ")
}

// fate is what a repair found, or left.
type fate string

// The fates.
const (
	fateWhole  fate = "whole"  // nothing was missing
	fateMended fate = "mended" // something was, and is there again
	fateGone   fate = "gone"   // its container is
	fateBad    fate = "bad"    // something is missing still
)

// some is the list, or an empty one: programs would rather not read null.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
