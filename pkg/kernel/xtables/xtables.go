// Package xtables reads the chain FORWARD of the kernel's ip_tables and ip6_tables, without a program. It does not change it: that takes the whole table
// at a time, and the lock of who else does.
package xtables

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rule is what is read of one rule.
type Rule struct {
	Comment string
	Verdict int32  // of the standard target: -1 drops, -2 accepts, 0 and more is a jump; of another target 0
	Jump    string // the chain that it leads to
	Target  string // empty: the standard one
	Matches int    // but for comments; a source, a link and so on count as one
}

// Chain is the chain FORWARD of a table filter.
type Chain struct {
	Drops  bool // its policy
	Rules  []Rule
	Others []string // the table's chains that somebody made and put a rule into
}

// layout is that of struct ipt_entry, or ip6t_entry (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h).
type layout struct{ domain, level, address, targetOffset, size int }

func layoutOf(is4 bool) layout {
	if is4 {
		return layout{unix.AF_INET, unix.SOL_IP, 84, 88, 112}
	}
	return layout{unix.AF_INET6, unix.SOL_IPV6, 136, 140, 168}
}

const (
	getInfo    = 64 // IPT_SO_GET_INFO
	getEntries = 65
	hook       = 2 // NF_INET_FORWARD
	nameSize   = 32
)

// info is struct ipt_getinfo.
type info struct {
	name                 [nameSize]byte
	valid                uint32
	entry, underflow     [5]uint32
	entries, sizeOfTable uint32
}

// attempts is how often a table is asked for that changes between the question for its size and the one for its content.
const attempts = 5

// Forward reads the chain of the thread's network namespace. To ask for a table that is not there makes it.
func Forward(is4 bool) (Chain, error) {
	l := layoutOf(is4)
	sock, err := unix.Socket(l.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return Chain{}, fmt.Errorf("ip_tables: socket: %w", err)
	}
	defer unix.Close(sock)
	for range attempts {
		var i info
		copy(i.name[:], "filter")
		if err = ask(sock, l.level, getInfo, unsafe.Slice((*byte)(unsafe.Pointer(&i)), unsafe.Sizeof(i))); err != nil {
			break
		}
		const head = 40 // name and size, up to the alignment of an entry
		data := make([]byte, head+int(i.sizeOfTable))
		copy(data, "filter")
		binary.NativeEndian.PutUint32(data[nameSize:], i.sizeOfTable)
		if err = ask(sock, l.level, getEntries, data); err == nil {
			return l.chain(data[head:], int(i.entry[hook]), int(i.underflow[hook]))
		}
	}
	return Chain{}, fmt.Errorf("ip_tables: table filter: %w", err)
}

func ask(sock, level, option int, data []byte) error {
	size := uint32(len(data))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(sock), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&data[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// chain reads the entries from the chain's first to its policy, and the names of all that somebody made.
func (l layout) chain(table []byte, from, policy int) (c Chain, err error) {
	names := make(map[int32]string) // by where their first rule is, which is what a jump has
	rules, last := 0, ""            // of the chain that was begun last; its end counts as one
	for at := 0; at < len(table); {
		entry, target, err := l.entry(table[at:])
		if err != nil {
			return c, err
		}
		r := l.rule(entry, target)
		if r.Target == "ERROR" && at+len(entry) < len(table) { // a chain's head, with its name as the error; the last is the table's end
			rules, last = 0, text(entry[target+nameSize:])
			names[int32(at+len(entry))] = last
		} else if rules++; rules == 2 && last != "" && r.Target != "ERROR" {
			c.Others = append(c.Others, last)
		}
		switch {
		case at == policy:
			c.Drops = r.Verdict == -1
		case from <= at && at < policy:
			c.Rules = append(c.Rules, r)
		}
		at += len(entry)
	}
	for i, r := range c.Rules {
		c.Rules[i].Jump = names[r.Verdict] // none begins at 0
	}
	return c, nil
}

// entry cuts off the first entry, and says where its target is.
func (l layout) entry(table []byte) (entry []byte, target int, err error) {
	if len(table) < l.size {
		return nil, 0, fmt.Errorf("ip_tables: table filter: torn")
	}
	target, next := int(binary.NativeEndian.Uint16(table[l.targetOffset:])), int(binary.NativeEndian.Uint16(table[l.targetOffset+2:]))
	if target < l.size || next <= target+nameSize || next > len(table) {
		return nil, 0, fmt.Errorf("ip_tables: table filter: torn")
	}
	return table[:next], target, nil
}

// rule reads one entry.
func (l layout) rule(entry []byte, target int) (r Rule) {
	if len(bytes.Trim(entry[:l.address], "\x00")) > 0 {
		r.Matches++
	}
	for at := l.size; at+nameSize <= target; { // struct xt_entry_match: size, name, revision
		size, name := int(binary.NativeEndian.Uint16(entry[at:])), text(entry[at+2:at+nameSize-1])
		if size < nameSize || at+size > target {
			break
		}
		if name == "comment" {
			r.Comment = text(entry[at+nameSize : at+size])
		} else {
			r.Matches++
		}
		at += size
	}
	r.Target = text(entry[target+2 : target+nameSize-1])
	if r.Target == "" && len(entry) >= target+nameSize+4 {
		r.Verdict = int32(binary.NativeEndian.Uint32(entry[target+nameSize:]))
	}
	return r
}

func text(field []byte) string {
	name, _, _ := bytes.Cut(field, []byte{0})
	return string(name)
}
