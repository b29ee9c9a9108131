// Package keys reads a JSON object by its keys, and keeps every complaint instead of stopping at the first.
//
// It follows the conventions that CNI configurations rely on (encoding/json's): keys match without regard to case, the last of
// several equal keys wins, null changes nothing, and unknown keys are ignored.
package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Object is one JSON object. Its getters never fail: a value of the wrong type or out of range is noted as a complaint, and the
// default is returned, so that one reading finds all that is wrong and a DEL can go on with what is right.
type Object struct {
	path       string
	values     map[string]json.RawMessage // by lower-case key
	complaints *[]Complaint
	asked      map[string]string // keys by their paths in lower case; nil: nobody wants to know
}

// Complaint is what is wrong with a value, and the path of its key: ipam.ranges[0][1].subnet.
type Complaint struct{ Path, Text string }

func (c Complaint) String() string { return c.Path + ": " + c.Text }

// Parse reads the object in data. The error is that of a document that is not a JSON object.
func Parse(data []byte) (*Object, error) {
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, fault.New(fault.Decoding, "pass one JSON object", "configuration: %w", err)
	}
	values, is := members(data)
	if !is {
		return nil, fault.New(fault.Decoding, "pass one JSON object", "configuration: must be an object")
	}
	return &Object{values: values, complaints: new([]Complaint)}, nil
}

// Note makes the object, and all that are read from it, remember which keys are asked for.
func (o *Object) Note() { o.asked = make(map[string]string) }

// Asked lists the keys that were asked for in the object at the path; an empty path is the whole.
func (o *Object) Asked(path string) (list []string) {
	if path != "" {
		path += "."
	}
	for at, key := range o.asked {
		if rest, in := strings.CutPrefix(at, strings.ToLower(path)); in && !strings.ContainsAny(rest, ".[") {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return list
}

// Complaints returns what Err returns as one fault.
func (o *Object) Complaints() []Complaint { return *o.complaints }

// Err returns all complaints as one fault with code Config, or nil. It is shared by an object and all objects read from it.
func (o *Object) Err() error {
	if len(*o.complaints) == 0 {
		return nil
	}
	texts := make([]string, len(*o.complaints))
	for i, c := range *o.complaints {
		texts[i] = c.String()
	}
	return fault.New(fault.Config, "mend the network's configuration", "%s", strings.Join(texts, "; "))
}

// ofAValue is how much is shown of one, in bytes.
const ofAValue = 120

// brief is the beginning of a value, if it is long.
func brief(text string) string {
	if len(text) <= ofAValue {
		return text
	}
	return strings.ToValidUTF8(text[:ofAValue], "") + " ..."
}

// Reject notes the complaint `key: value: rule`, once. The value is printed as JSON would have it.
func (o *Object) Reject(key string, value any, rule string) {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(fmt.Sprint(value))
	}
	if c := (Complaint{o.Path(key), brief(string(text)) + ": " + rule}); !slices.Contains(*o.complaints, c) {
		*o.complaints = append(*o.complaints, c)
	}
}

// Path returns the key's full name, as in ipam.ranges[0][1].subnet.
func (o *Object) Path(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// Has says whether the key is there and not null.
func (o *Object) Has(key string) bool { return o.Raw(key) != nil }

// Mentions says whether the key is there, be it with null.
func (o *Object) Mentions(key string) bool { return o.values[strings.ToLower(key)] != nil }

// Raw returns the key's value as it was written, nil when it is absent or null.
func (o *Object) Raw(key string) json.RawMessage {
	if o.asked != nil {
		o.asked[strings.ToLower(o.Path(key))] = key
	}
	raw := o.values[strings.ToLower(key)]
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func get[T any](o *Object, key string, def T, rule string) T {
	raw := o.Raw(key)
	if raw == nil {
		return def
	}
	value := def
	if err := json.Unmarshal(raw, &value); err != nil {
		o.Reject(key, raw, rule)
		return def
	}
	return value
}

// String returns the key's text.
func (o *Object) String(key, def string) string { return get(o, key, def, "must be a string") }

// Bool returns the key's truth.
func (o *Object) Bool(key string, def bool) bool { return get(o, key, def, "must be true or false") }

// Int returns the key's whole number, which must lie between low and high.
func (o *Object) Int(key string, def, low, high int) int {
	return int(o.Large(key, int64(def), int64(low), int64(high)))
}

// Large is Int of a number that may be larger than a processor of 32 bits has room for.
func (o *Object) Large(key string, def, low, high int64) int64 {
	raw := o.Raw(key)
	if raw == nil {
		return def
	}
	var n int64
	if err := json.Unmarshal(raw, &n); err != nil || n < low || n > high {
		o.Reject(key, raw, fmt.Sprintf("must be a whole number from %d to %d", low, high))
		return def
	}
	return n
}

// Number returns the key's whole number of 32 bits, without a sign.
func (o *Object) Number(key string, def int64) int64 {
	n := get[*uint32](o, key, nil, fmt.Sprintf("must be a whole number from 0 to %d", uint32(math.MaxUint32)))
	if n == nil {
		return def
	}
	return int64(*n)
}

// Strings returns the key's list of texts; nil when it is absent, not nil when it is empty.
func (o *Object) Strings(key string) []string {
	return get[[]string](o, key, nil, "must be a list of strings")
}

// List returns the key's list of raw values.
func (o *Object) List(key string) []json.RawMessage {
	return get[[]json.RawMessage](o, key, nil, "must be a list")
}

// Object returns the key's object; an empty one when it is absent.
func (o *Object) Object(key string) *Object {
	return o.nested(o.Path(key), o.Raw(key))
}

// Objects returns the key's list of objects.
func (o *Object) Objects(key string) []*Object {
	var list []*Object
	for i, raw := range o.List(key) {
		list = append(list, o.nested(o.Path(key)+"["+strconv.Itoa(i)+"]", raw))
	}
	return list
}

// ObjectLists returns the key's list of lists of objects.
func (o *Object) ObjectLists(key string) [][]*Object {
	var lists [][]*Object
	for i, raw := range o.List(key) {
		inner := &Object{path: o.path, complaints: o.complaints, asked: o.asked}
		name := key + "[" + strconv.Itoa(i) + "]"
		inner.values = map[string]json.RawMessage{strings.ToLower(name): raw}
		lists = append(lists, inner.Objects(name))
	}
	return lists
}

func (o *Object) nested(path string, raw json.RawMessage) *Object {
	inner := &Object{path: path, complaints: o.complaints, asked: o.asked}
	if raw == nil || string(raw) == "null" {
		return inner
	}
	values, is := members(raw)
	if !is {
		(&Object{complaints: o.complaints}).Reject(path, raw, "must be an object")
	}
	inner.values = values
	return inner
}

// Addr returns the key's IP address; the zero Addr when it is absent or "". An IPv4 address mapped into IPv6 is IPv4.
func (o *Object) Addr(key string) netip.Addr {
	text := o.String(key, "")
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		o.Reject(key, text, "must be an IP address")
		return netip.Addr{}
	}
	return addr.Unmap()
}

// Prefix returns the key's address and prefix length, host bits kept; the zero Prefix when it is absent.
func (o *Object) Prefix(key string) netip.Prefix {
	text := get[*string](o, key, nil, "must be a string") // "" is not absence
	if text == nil {
		return netip.Prefix{}
	}
	prefix, err := ParsePrefix(*text)
	if err != nil {
		o.Reject(key, *text, "must be an address and prefix length, as in 10.1.0.0/16")
	}
	return prefix
}

// ParsePrefix reads address/length. An IPv4 prefix mapped into IPv6 is IPv4.
func ParsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
		return netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96), nil
	}
	return prefix, nil
}

// MAC returns the key's Ethernet address, nil when it is absent or "".
func (o *Object) MAC(key string) net.HardwareAddr {
	text := o.String(key, "")
	if text == "" {
		return nil
	}
	mac, err := ParseMAC(text)
	if err != nil {
		o.Reject(key, text, err.Error())
	}
	return mac
}

// ParseMAC reads an Ethernet address that an interface may have: six bytes, not zero, no group's (IEEE 802, clause 8). The error is the rule.
func ParseMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		return nil, errors.New("must be an Ethernet address, as in 0a:58:0a:01:00:02")
	}
	if mac[0]&1 != 0 || bytes.Equal(mac, make([]byte, 6)) {
		return nil, errors.New("must be an Ethernet address that one interface may have, neither zero nor a group's")
	}
	return mac, nil
}
