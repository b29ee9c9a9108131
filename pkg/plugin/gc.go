package plugin

import (
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Valid is the set of attachments that a GC must keep.
type Valid struct {
	// Known is false when the runtime named no set at all (the key is absent): then only what is provably dead may go.
	Known bool
	// List holds the attachments as they were sent.
	List []Attachment
	ids  map[owner.ID]bool
}

// Attachment is one entry of cni.dev/valid-attachments.
type Attachment struct{ ContainerID, IfName string }

// DryRun says that a GC is to tell on standard error what it would remove, and to remove nothing: TRESTLE_DRY_RUN is 1. Of the protocol's
// verbs it is GC's alone; trestle gc sets it.
func (r *Request) DryRun() bool { return r.Command == "GC" && r.Environ["TRESTLE_DRY_RUN"] == "1" }

// Keeps says whether the attachment is in the set.
func (v Valid) Keeps(id owner.ID) bool { return v.ids[id] }

// ValidAttachments reads cni.dev/valid-attachments, or its historical alias cni.dev/attachments. An empty list and null both
// mean that no attachment of the network is valid; a missing key means that nobody knows. An entry that does not name an attachment in full
// keeps none alive, so it is an error: what it was to keep would go.
func (r *Request) ValidAttachments() (Valid, error) {
	valid := Valid{ids: make(map[owner.ID]bool)}
	for _, key := range []string{"cni.dev/attachments", "cni.dev/valid-attachments"} {
		if !r.Keys.Mentions(key) {
			continue
		}
		valid.Known, valid.List = true, nil
		for _, entry := range r.Keys.Objects(key) {
			valid.List = append(valid.List, Attachment{
				name(entry, "containerID", owner.ValidName), name(entry, "ifname", ValidLinkName)})
		}
	}
	for _, a := range valid.List {
		valid.ids[owner.Of(r.Network, a.ContainerID, a.IfName).ID] = true
	}
	return valid, r.Keys.Err()
}

// name reads one of the two names of an entry. One that no attachment can have was meant to be another.
func name(entry *keys.Object, key string, valid func(string) bool) string {
	before := len(entry.Complaints())
	text := entry.String(key, "")
	if len(entry.Complaints()) == before && !valid(text) {
		entry.Reject(key, text, "must name an attachment: containerID and ifname, as its ADD had them")
	}
	return text
}
