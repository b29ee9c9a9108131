package plugin

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/ipam"
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
type Attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// DryRun says that a GC is to tell on standard error what it would remove, and to remove nothing: TRESTLE_DRY_RUN is 1. Of the protocol's
// verbs it is GC's alone; trestle gc sets it.
func (r *Request) DryRun() bool {
	return (r.Command == "GC" || r.Command == CollectPart) && r.Environ["TRESTLE_DRY_RUN"] == "1"
}

// Keeps says whether the attachment is in the set.
func (v Valid) Keeps(id owner.ID) bool { return v.ids[id] }

// Holders says the same of who holds an address; nil where nobody knows. One of whom only the container is known stays while any interface of that
// is valid.
func (v Valid) Holders(network string) func(ipam.Holder) bool {
	if !v.Known {
		return nil
	}
	return func(h ipam.Holder) bool {
		if h.Legacy() {
			return slices.ContainsFunc(v.List, func(a Attachment) bool { return a.ContainerID == h.ContainerID })
		}
		return v.Keeps(owner.Of(network, h.ContainerID, h.IfName).ID)
	}
}

// And returns the set with one attachment more.
func (v Valid) And(network string, a Attachment) Valid {
	more := Valid{Known: v.Known, List: append(slices.Clone(v.List), a), ids: maps.Clone(v.ids)}
	more.ids[owner.Of(network, a.ContainerID, a.IfName).ID] = true
	return more
}

// validKeys are the key of the set, and its name of before.
var validKeys = []string{"cni.dev/attachments", "cni.dev/valid-attachments"}

// DelegateGC calls the address plugin for a GC that keeps the set, whatever the runtime's was.
func (r *Request) DelegateGC(ctx context.Context, kind string, valid Valid) error {
	if err := GivesNone(kind); err != nil {
		return err
	}
	to, err := r.delegate(kind)
	if err != nil {
		return err
	}
	config, err := r.withValid(valid)
	if err == nil {
		_, err = r.invoke(ctx, to, kind, "GC", config)
	}
	return err
}

// InvokeGC calls any plugin for it, or for its part of it.
func (r *Request) InvokeGC(ctx context.Context, kind, command string, valid Valid) error {
	config, err := r.withValid(valid)
	if err == nil {
		_, err = r.Invoke(ctx, kind, command, config)
	}
	return err
}

func (r *Request) withValid(valid Valid) ([]byte, error) {
	var config map[string]json.RawMessage
	if err := json.Unmarshal(r.Config, &config); err != nil {
		return nil, err
	}
	maps.DeleteFunc(config, func(key string, _ json.RawMessage) bool {
		return slices.ContainsFunc(validKeys, func(k string) bool { return strings.EqualFold(k, key) })
	})
	if valid.Known {
		list, err := json.Marshal(append([]Attachment{}, valid.List...))
		if err != nil {
			return nil, err
		}
		config[validKeys[1]] = list
	}
	return json.Marshal(config)
}

// ValidAttachments reads cni.dev/valid-attachments, or its historical alias cni.dev/attachments. An empty list and null both
// mean that no attachment of the network is valid; a missing key means that nobody knows. An entry that does not name an attachment in full
// keeps none alive, so it is an error: what it was to keep would go.
func (r *Request) ValidAttachments() (Valid, error) {
	valid := Valid{ids: make(map[owner.ID]bool)}
	for _, key := range validKeys {
		if !r.Keys.Mentions(key) {
			continue
		}
		valid.Known, valid.List = true, nil
		for _, entry := range r.Keys.Objects(key) {
			valid.List = append(valid.List, Attachment{
				name(entry, "containerID", owner.ValidName), name(entry, "ifname", possibleLinkName)})
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
