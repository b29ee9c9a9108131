package nft

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// readElements reads a list of elements (enum nft_set_elem_attributes), as the library does for those that were asked for.
func readElements(list []byte) (elements []nftables.SetElement, err error) {
	items, err := netlink.UnmarshalAttributes(list)
	for _, item := range items {
		attrs, failed := netlink.UnmarshalAttributes(item.Data)
		err = errors.Join(err, failed)
		var e nftables.SetElement
		for _, a := range attrs {
			switch a.Type & attrType {
			case unix.NFTA_SET_ELEM_KEY:
				e.Key, err = value(a.Data, err)
			case nftables.NFTA_SET_ELEM_KEY_END:
				e.KeyEnd, err = value(a.Data, err)
			case unix.NFTA_SET_ELEM_DATA:
				e.Val, err = value(a.Data, err)
			case unix.NFTA_SET_ELEM_TIMEOUT, unix.NFTA_SET_ELEM_EXPIRATION:
				e.Timeout = 1 // any: it counts as absent
			case unix.NFTA_SET_ELEM_USERDATA:
				e.Comment, _ = userdata.GetString(a.Data, userdata.NFTNL_UDATA_SET_ELEM_COMMENT)
				e.Comment = strings.Clone(e.Comment)
			}
		}
		elements = append(elements, e)
	}
	return elements, err
}

// value is a copy of the bytes in a nested NFTA_DATA_VALUE.
func value(nested []byte, before error) ([]byte, error) {
	attrs, err := netlink.UnmarshalAttributes(nested)
	for _, a := range attrs {
		if a.Type&attrType == unix.NFTA_DATA_VALUE {
			return append([]byte(nil), a.Data...), before
		}
	}
	return nil, errors.Join(before, err)
}

// rule reads the rule in a message as the library reads one that was asked for: it has no other way in than a transport.
func (m message) rule() (*nftables.Rule, error) {
	conn, err := nftables.New(nftables.WithTestDial(func(asked []netlink.Message) ([]netlink.Message, error) {
		if len(asked) == 0 {
			return nil, io.EOF
		}
		head := netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE, Sequence: asked[0].Header.Sequence}
		return []netlink.Message{{Header: head, Data: m.raw}}, nil
	}))
	if err != nil {
		return nil, err
	}
	rules, err := conn.GetRules(m.table.Table, &nftables.Chain{Name: m.name, Table: m.table.Table})
	if err == nil && len(rules) != 1 {
		err = fmt.Errorf("chain %s: a rule that cannot be read", m.name)
	}
	if err != nil {
		return nil, err
	}
	return rules[0], nil
}
