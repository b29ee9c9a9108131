package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// ParseResult reads a result; one without a version has the version given.
func ParseResult(raw []byte, version string) (*types100.Result, error) {
	if result, ok := decode(raw, version); ok {
		return result, nil
	}
	return byLibrary(raw, version)
}

// byLibrary reads what decode does not.
func byLibrary(raw []byte, version string) (*types100.Result, error) {
	if versionOf(raw) == "" {
		var err error
		if raw, err = withVersion(raw, version); err != nil {
			return nil, err
		}
	}
	if err := members(raw); err != nil {
		return nil, err
	}
	result, err := create.Create(version, raw)
	if err != nil {
		return nil, err
	}
	return types100.NewResultFromResult(result)
}

// members refuses null in the lists of a result, which the protocol's types can hold and their conversions cannot.
func members(result []byte) error {
	if !bytes.Contains(result, []byte("null")) { // nearly always: each ADD after another plugin comes here
		return nil
	}
	var lists struct{ IPs, Interfaces, Routes []json.RawMessage }
	_ = json.Unmarshal(result, &lists) // what is not read here is refused by who reads all of it
	for name, list := range map[string][]json.RawMessage{"ips": lists.IPs, "interfaces": lists.Interfaces, "routes": lists.Routes} {
		if at := slices.IndexFunc(list, func(m json.RawMessage) bool { return string(m) == "null" }); at >= 0 {
			return fmt.Errorf("%s[%d]: null: must be an object", name, at)
		}
	}
	return nil
}

// versionOf returns the version that a result says it has; empty where it says none.
func versionOf(result []byte) string {
	var own struct {
		Version string `json:"cniVersion"`
	}
	if json.Unmarshal(result, &own) != nil {
		return ""
	}
	return own.Version
}

// withVersion returns a result with the version in the place of its own.
func withVersion(raw []byte, version string) ([]byte, error) {
	var head map[string]json.RawMessage
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, err
	}
	if head == nil {
		return raw, nil // null
	}
	head["cniVersion"], _ = json.Marshal(version)
	return json.Marshal(head)
}

// decode reads a result of version 1.0.0 or later as plugins print it and runtimes hand it on. The library learns each type that it meets, in a process
// that meets it once: a quarter of a millisecond for each plugin of a list. It says false where anything is out of the ordinary (another spelling,
// a key twice, null, an escape): the library reads that, and has words for what is wrong.
func decode(text []byte, version string) (*types100.Result, bool) {
	result := &types100.Result{}
	own := version
	r := &reader{rest: text, ok: true}
	r.object(map[string]any{
		"cniVersion": &own, "interfaces": &result.Interfaces, "ips": &result.IPs, "routes": &result.Routes, "dns": &result.DNS,
	})
	result.CNIVersion = types100.ImplementedSpecVersion
	return result, r.ok && r.end() && current(own) && current(version)
}

// current says whether results of the version have the form of today's.
func current(version string) bool { return version == "1.0.0" || version == "1.1.0" }

// reader reads JSON that is known before. What is not as expected makes it not ok, and stay so.
type reader struct {
	rest []byte
	ok   bool
}

// value reads what the pointer's type says.
func (r *reader) value(into any) {
	switch v := into.(type) {
	case *string:
		*v = r.text()
	case *int:
		*v = r.number()
	case **int:
		n := r.number()
		*v = &n
	case *net.IP:
		*v = net.ParseIP(r.text())
		r.ok = r.ok && *v != nil
	case *net.IPNet:
		r.network(v)
	case *[]string:
		*v = elements(r, r.text)
	case *types.DNS:
		r.object(map[string]any{"domain": &v.Domain, "nameservers": &v.Nameservers, "options": &v.Options, "search": &v.Search})
	case *[]*types100.Interface:
		*v = elements(r, r.link)
	case *[]*types100.IPConfig:
		*v = elements(r, r.address)
	case *[]*types.Route:
		*v = elements(r, r.route)
	}
}

func (r *reader) link() *types100.Interface {
	i := &types100.Interface{}
	r.object(map[string]any{"mac": &i.Mac, "mtu": &i.Mtu, "name": &i.Name, "pciID": &i.PciID, "sandbox": &i.Sandbox, "socketPath": &i.SocketPath})
	return i
}

func (r *reader) address() *types100.IPConfig {
	c := &types100.IPConfig{}
	r.object(map[string]any{"address": &c.Address, "gateway": &c.Gateway, "interface": &c.Interface})
	return c
}

func (r *reader) route() *types.Route {
	o := &types.Route{}
	r.object(map[string]any{
		"advmss": &o.AdvMSS, "dst": &o.Dst, "gw": &o.GW, "mtu": &o.MTU, "priority": &o.Priority, "scope": &o.Scope, "table": &o.Table,
	})
	return o
}

func (r *reader) network(into *net.IPNet) {
	n, err := types.ParseCIDR(r.text())
	if r.ok = r.ok && err == nil; r.ok {
		*into = *n
	}
}

// object reads an object's members to where they belong, each once at the most.
func (r *reader) object(members map[string]any) {
	r.expect('{')
	for first := true; r.ok && !r.next('}'); first = false {
		if !first {
			r.expect(',')
		}
		key := r.text()
		r.expect(':')
		into, known := members[key]
		if r.ok = r.ok && known; r.ok {
			r.value(into)
		}
		delete(members, key)
	}
}

func elements[T any](r *reader, one func() T) []T {
	list := []T{}
	r.expect('[')
	for r.ok && !r.next(']') {
		if len(list) > 0 {
			r.expect(',')
		}
		list = append(list, one())
	}
	return list
}

// text reads a string that is what it says.
func (r *reader) text() string {
	r.expect('"')
	end := slices.IndexFunc(r.rest, func(c byte) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
	if r.ok = r.ok && end >= 0 && r.rest[end] == '"'; !r.ok {
		return ""
	}
	s := string(r.rest[:end])
	r.rest = r.rest[end+1:]
	return s
}

// number reads a whole number of so few digits that it is one everywhere.
func (r *reader) number() int {
	r.space()
	end := 0
	for end < len(r.rest) && r.rest[end] >= '0' && r.rest[end] <= '9' {
		end++
	}
	if r.ok = r.ok && end > 0 && end < 10 && (r.rest[0] != '0' || end == 1); !r.ok {
		return 0
	}
	n, _ := strconv.Atoi(string(r.rest[:end]))
	r.rest = r.rest[end:]
	return n
}

func (r *reader) expect(c byte) { r.ok = r.ok && r.next(c) }

// next takes the character, if it is the next.
func (r *reader) next(c byte) bool {
	r.space()
	is := len(r.rest) > 0 && r.rest[0] == c
	if is {
		r.rest = r.rest[1:]
	}
	return is
}

func (r *reader) end() bool {
	r.space()
	return len(r.rest) == 0
}

func (r *reader) space() {
	for len(r.rest) > 0 && (r.rest[0] == ' ' || r.rest[0] == '\n' || r.rest[0] == '\t' || r.rest[0] == '\r') {
		r.rest = r.rest[1:]
	}
}
