package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
)

func setLines(conn *nftables.Conn, table *nftables.Table) (lines []string, err error) {
	sets, err := conn.GetSets(table)
	if err != nil {
		return nil, fmt.Errorf("nftables: sets of %s: %w", table.Name, err)
	}
	for _, set := range sets {
		name := tableName(table) + " " + set.Name
		lines = append(lines, "set "+name+" "+set.KeyType.Name)
		elements, err := conn.GetSetElements(set)
		if err != nil {
			return nil, fmt.Errorf("nftables: set %s: %w", name, err)
		}
		for _, e := range elements {
			if e.Expires == 0 {
				lines = append(lines, "element "+name+" "+elementText(set, e))
			}
		}
	}
	return lines, nil
}

func elementText(set *nftables.Set, e nftables.SetElement) string {
	text := datum(set.KeyType, e.Key)
	if len(e.KeyEnd) > 0 {
		text += " - " + datum(set.KeyType, e.KeyEnd)
	}
	if e.IntervalEnd {
		text += " end"
	}
	switch {
	case e.VerdictData != nil:
		text += fmt.Sprintf(" : verdict %d %s", e.VerdictData.Kind, e.VerdictData.Chain)
	case set.IsMap:
		text += " : " + datum(set.DataType, e.Val)
	}
	if e.Comment != "" {
		text += fmt.Sprintf(" %q", e.Comment)
	}
	return text
}

// datum writes a key or value by its type; each part of a concatenation is padded to 4 bytes on the wire.
func datum(kind nftables.SetDatatype, data []byte) string {
	var parts []string
	for name := range strings.SplitSeq(kind.Name, " . ") {
		size := len(data)
		if strings.Contains(kind.Name, " . ") {
			size = min(size, width(name))
		}
		parts = append(parts, scalar(name, data[:size]))
		data = data[size:]
	}
	return strings.Join(parts, " . ")
}

// width returns the bytes that a part of a concatenation fills; 0 for a type that the suite's sets are not keyed by.
func width(name string) int {
	for _, kind := range []nftables.SetDatatype{
		nftables.TypeIPAddr, nftables.TypeIP6Addr, nftables.TypeInetProto, nftables.TypeInetService,
		nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeMark,
	} {
		if kind.Name == name {
			return int(kind.Bytes+3) &^ 3
		}
	}
	return 0
}

func scalar(name string, data []byte) string {
	switch {
	case name == nftables.TypeIPAddr.Name && len(data) == 4, name == nftables.TypeIP6Addr.Name && len(data) == 16:
		addr, _ := netip.AddrFromSlice(data)
		return addr.String()
	case name == nftables.TypeInetService.Name && len(data) >= 2:
		return fmt.Sprint(binary.BigEndian.Uint16(data))
	case name == nftables.TypeInetProto.Name && len(data) >= 1:
		return fmt.Sprint(data[0])
	case name == nftables.TypeIFName.Name:
		return string(bytes.TrimRight(data, "\x00"))
	}
	return fmt.Sprintf("%x", data)
}
