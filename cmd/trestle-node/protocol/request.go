// Package protocol is how hosts share the blocks of a pool through a store that compares and writes at once: what is asked of the store, and what a host
// knows after each answer. It is pure: no clock, no file, no network. Package model drives this very code through every order of delays, losses, crashes
// and deaths that a small world has.
//
// What it rests on:
//
//	a block is one key; whose name it has, owns it                               (the store's commit is what makes owners unique)
//	a block is closed, durably, before its deletion is sent                      State.Close, then State.GiveBack
//	a closed block opens by a write that moves its revision                      State.Reopen
//	nothing runs out: a host that is silent keeps what it has
//	a death is asserted, of a boot that has ended                                Bury
//	what was read is compared where it is acted on                               Request.If
package protocol

import (
	"net/netip"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
)

// Kind says what a key is of.
type Kind uint8

// The kinds of keys.
const (
	OfPool  Kind = iota // the pool's definition
	OfNode              // a host's record
	OfBlock             // a block: it is there exactly while the block has an owner
)

// Key names what is in the store, of one network.
type Key struct {
	Kind  Kind
	Node  string  // whose record
	Block pool.ID // which block
}

// Owner is what a block's key holds.
type Owner struct {
	Node  string       `json:"node"`
	Nonce string       `json:"claim"`         // of the request that wrote it
	Via   []netip.Addr `json:"via,omitempty"` // where the owner is reached
}

// Record is what a host's key holds.
type Record struct {
	Boot string       `json:"boot"` // of the kernel that registered
	Via  []netip.Addr `json:"via,omitempty"`
	Dead bool         `json:"dead,omitempty"` // somebody said that this boot has ended
}

// Entry is a key with what it holds, of which one is filled in. Revision is of its last write; 0 where there is no such key.
type Entry struct {
	Key      Key
	Revision int64
	Owner    Owner
	Record   Record
	Pool     pool.Definition
	Unread   error // why it is not all known what a block's key or a host's record holds
}

// Compare holds where the key's revision is this one, 0 where there is no such key. With Last it is held by each block from Key's to Last.
type Compare struct {
	Key      Key
	Last     pool.ID
	Revision int64
}

// Verb says what a request is for.
type Verb uint8

// The verbs.
const (
	Look Verb = iota
	Register
	Claim
	Reopen
	GiveBack
	Bury
	Reclaim
	Define
)

// Request is what is asked of the store: where all of If holds, Put or Delete is done, at once; else nothing.
type Request struct {
	Verb   Verb
	If     []Compare
	Put    *Entry // its Revision is the store's to say
	Delete *Key
	Read   []Key // of a Look
	All    bool  // a Look at each block's key, too
}

// Reply is what the store answers. Where nothing was written it has the keys that were compared or read, of one moment.
type Reply struct {
	Committed bool
	Revision  int64 // of what was written
	Entries   []Entry
	Mark
}

// Mark is what an answer says of the store itself: which it is, and how far it has come. One that comes from another store, or from an earlier moment
// than one before, comes from a backup that was restored.
type Mark struct {
	Cluster uint64
	Latest  int64
}

// Of finds the key among what the store has shown.
func (r Reply) Of(key Key) (Entry, bool) {
	for _, e := range r.Entries {
		if e.Key == key {
			return e, true
		}
	}
	return Entry{}, false
}

// NodeKey is the key of a host's record.
func NodeKey(node string) Key { return Key{Kind: OfNode, Node: node} }

// BlockKey is the key of a block.
func BlockKey(id pool.ID) Key { return Key{Kind: OfBlock, Block: id} }

// PoolKey is the key of the pool's definition.
func PoolKey() Key { return Key{Kind: OfPool} }
