package nft

import (
	"context"
	"strings"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// lives makes the want say for which life of the container it is, in an element beside the attachment, whose comment has that in place of the owner's names. Where a link
// of the host's carries it, that link says it.
func (w *want) lives(life string) {
	if life != "" && !w.linked && w.role.Shared() {
		w.life = w.lifeEntry()
		w.life.tells = firewall.LifeSign + life
	}
}

func (w *want) lifeEntry() *entry {
	key := w.owner.Key(string(w.role) + " life")
	return &entry{set: w.table.set(attachments), key: key[:], val: []byte{0, 0}}
}

// lifeOf returns the element that says it; nil where none does.
func (f *Filter) lifeOf(w *want) (*nftables.SetElement, error) {
	e := w.lifeEntry()
	found, err := f.find(e.set, e.key)
	if lifeIn(found, w) == "" {
		found = nil
	}
	return found, err
}

// lifeIn is what an element of the owner's says, sign and all.
func lifeIn(found *nftables.SetElement, w *want) string {
	if !belongs(found, w.owner) {
		return ""
	}
	o, _ := owner.Parse(found.Comment)
	return o.Text
}

// date adds to the draft what is missing for the want's life to be told.
func (f *Filter) date(d *draft, w *want) error {
	if w.life == nil || w.empty() {
		return nil
	}
	found, err := f.find(w.life.set, w.life.key)
	if err != nil || lifeIn(found, w) == w.life.tells {
		return err
	}
	if found != nil { // be it on its way out
		d.remove(w.life.set, *found)
	}
	d.add(w, *w.life)
	return nil
}

// Holdings are one, where there is an attachment.
func (f *Filter) Holdings(_ context.Context, o owner.Owner, r firewall.Role) ([]firewall.Holder, error) {
	w, err := begin(o, r)
	if err != nil {
		return nil, err
	}
	defer f.lock()()
	if err := f.connect(); err != nil {
		return nil, explain(err)
	}
	found, err := f.find(w.attachment.set, w.attachment.key)
	if err != nil || !belongs(found, o) {
		return nil, explain(err)
	}
	h := firewall.Holder{Owner: o, Linked: isLinked(found)}
	if !h.Linked && r.Shared() {
		var life *nftables.SetElement
		life, err = f.lifeOf(w)
		h.Life = strings.TrimPrefix(lifeIn(life, w), firewall.LifeSign)
	}
	return []firewall.Holder{h}, explain(err)
}
