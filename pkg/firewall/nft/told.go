package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nlsocket"
)

// Told is a transaction of somebody's as the kernel tells of it: what it removed, of whomever, and who it was.
type Told struct {
	Generation uint32
	Process    uint32 // number of the thread that committed; 0: the kernel did not say
	Name       string // of its program, at most 15 bytes
	Removed    []Removed
	Forwarded  bool // something of iptables-nft's chains FORWARD was changed, in which our anchor is
	Made       bool // something was made, too: a ruleset was loaded, or a rule replaced

	Signed bool // package iptables of ours did it, by the tool

	compat bool      // a chain of package iptables was made
	filled []string  // the chains of iptables' tables filter in which rules were made
	ours   []message // about our tables, in their order
	rule   message   // the first rule that went
}

// Removed is one object that went.
type Removed struct {
	Table string // as nft(8) names it: family and name
	Chain string // of the rule, or the chain itself; empty: none
	Set   string // of the element, or the set itself
	Key   string // of the element, in hex
	Whole bool   // the object itself, and not a rule or an element of it
}

// message is one part of a transaction, as far as it is read.
type message struct {
	kind     int
	table    *table
	name     string // of the set, or of the rule's chain
	elements []nftables.SetElement
	handle   uint64 // of the rule
	raw      []byte // of a rule that belongs to somebody, or went first: all that was said
}

// Listen subscribes to the transactions of the calling thread's network namespace.
func Listen() (*nlsocket.Events, error) {
	return nlsocket.Listen(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
}

// A Reader puts the kernel's messages together to transactions.
type Reader struct {
	now    Told
	tables []*table
}

// NewReader returns a reader of what comes by Listen.
func NewReader() *Reader { return &Reader{tables: everyTable()} }

// Next takes a message. It returns a transaction when that is whole, else nil; an error where the kernel's words cannot be read.
func (r *Reader) Next(m nlsocket.Message) (*Told, error) {
	if m.Type>>8 != unix.NFNL_SUBSYS_NFTABLES || len(m.Data) < headerSize {
		return nil, nil
	}
	kind := int(m.Type & 0xff)
	ad, err := netlink.NewAttributeDecoder(m.Data[headerSize:])
	if err != nil {
		return nil, err
	}
	ad.ByteOrder = binary.BigEndian
	if kind == unix.NFT_MSG_NEWGEN {
		whole := r.now
		r.now = Told{}
		return &whole, whole.who(ad)
	}
	return nil, r.now.take(r.tables, kind, m.Data, ad)
}

// who reads the end of a transaction (enum nft_gen_attributes).
func (t *Told) who(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_GEN_ID:
			t.Generation = ad.Uint32()
		case unix.NFTA_GEN_PROC_PID:
			t.Process = ad.Uint32()
		case unix.NFTA_GEN_PROC_NAME:
			t.Name = ad.String()
		}
	}
	return ad.Err()
}

// headerSize is that of struct nfgenmsg, before the attributes; attrType what of an attribute's type is no flag (NLA_TYPE_MASK).
const headerSize, attrType = 4, 1<<14 - 1

// The attributes of each kind of object begin alike: its table, then its chain, its set, or its number.
const (
	attrTable, attrSecond = 1, 2
	attrChainName         = 3 // of a chain (enum nft_chain_attributes)
	attrElements          = 3 // of a list of elements (enum nft_set_elem_list_attributes)
)

func (t *Told) take(tables []*table, kind int, data []byte, ad *netlink.AttributeDecoder) (err error) {
	var name, second, third string
	family, own := data[0], message{kind: kind}
	named := kind != unix.NFT_MSG_NEWTABLE && kind != unix.NFT_MSG_DELTABLE
	isChain := kind == unix.NFT_MSG_NEWCHAIN || kind == unix.NFT_MSG_DELCHAIN
	isRule := kind == unix.NFT_MSG_NEWRULE || kind == unix.NFT_MSG_DELRULE
	isElement := kind == unix.NFT_MSG_NEWSETELEM || kind == unix.NFT_MSG_DELSETELEM
	for ad.Next() {
		switch at := int(ad.Type()); {
		case at == attrTable:
			name = ad.String()
		case at == attrSecond && named && !isChain:
			second = ad.String()
		case at == attrChainName && isChain:
			third = ad.String()
		case at == attrElements && isElement && firewall.OwnTable(name):
			own.elements, err = readElements(ad.Bytes())
		case at == unix.NFTA_RULE_HANDLE && isRule:
			own.handle = ad.Uint64()
		}
	}
	if err = errors.Join(err, ad.Err()); err != nil {
		return err
	}
	t.note(kind, familyName(family)+" "+name, second, third, own.elements)
	t.Signed = t.Signed || kind == unix.NFT_MSG_NEWCHAIN && third == firewall.Sign
	t.compat = t.compat || kind == unix.NFT_MSG_NEWCHAIN && strings.HasPrefix(third, firewall.ChainPrefix)
	t.Forwarded = t.Forwarded || name == "filter" && (second == "FORWARD" || third == "FORWARD")
	if kind == unix.NFT_MSG_NEWRULE && name == "filter" && (len(t.filled) == 0 || t.filled[len(t.filled)-1] != second) {
		t.filled = append(t.filled, second)
	}
	own.name = second
	t.about(tables, own.of(name, family), data)
	return nil
}

// about keeps what may be asked for later: what is about tables of ours, and the first rule that went.
func (t *Told) about(tables []*table, m message, data []byte) {
	first := m.kind == unix.NFT_MSG_DELRULE && len(t.Removed) == 1
	if first || (m.name == conditionals || m.name == guests) && (m.kind == unix.NFT_MSG_NEWRULE || m.kind == unix.NFT_MSG_DELRULE) {
		m.raw = bytes.Clone(data)
	}
	for _, known := range tables {
		if known.is(m.table.Table) {
			m.table = known
			t.ours = append(t.ours, m)
		}
	}
	if first {
		t.rule = m
	}
}

// of is the message with its table, be that one of others'.
func (m message) of(name string, family byte) message {
	m.table = &table{Table: &nftables.Table{Name: name, Family: nftables.TableFamily(family)}}
	return m
}

// note adds what went to the list.
func (t *Told) note(kind int, table, second, third string, elements []nftables.SetElement) {
	gone := Removed{Table: table}
	switch kind {
	case unix.NFT_MSG_DELTABLE:
		gone.Whole = true
	case unix.NFT_MSG_DELCHAIN:
		gone.Chain, gone.Whole = third, true
	case unix.NFT_MSG_DELRULE:
		gone.Chain = second
	case unix.NFT_MSG_DELSET:
		gone.Set, gone.Whole = second, true
	case unix.NFT_MSG_DELSETELEM:
		gone.Set = second
		for _, e := range elements {
			gone.Key += fmt.Sprintf("%x", e.Key)
		}
	default:
		t.Made = true
		return
	}
	t.Removed = append(t.Removed, gone)
}

// Tables are the names of those of which something went, as nft(8) has them.
func (t *Told) Tables() (names []string) {
	for _, r := range t.Removed {
		names = append(names, r.Table)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// familyName is the family in the words of nft(8).
func familyName(family byte) string {
	switch nftables.TableFamily(family) {
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyBridge:
		return "bridge"
	case nftables.TableFamilyARP:
		return "arp"
	case nftables.TableFamilyNetdev:
		return "netdev"
	}
	return fmt.Sprint(family)
}
