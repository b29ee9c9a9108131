package keys

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
)

func parse(t *testing.T, text string) *Object {
	t.Helper()
	o, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func TestMembers(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{}`, "default"},
		{`{"name": "a"}`, "a"},
		{`{"NAME": "a"}`, "a"},
		{`{"name": "a", "Name": "b"}`, "b"},
		{`{"Name": "b", "name": "a"}`, "a"},
		{`{"name": null}`, "default"},
		{`{"name": "a", "NAME": null}`, "a"},
		{`{"name": null, "NAME": "a"}`, "a"},
		{`{"other": {"name": "b"}, "n": 1}`, "default"},
		{"\n{\"name\":\t\"a\"}\n", "a"},
		{`{"name": ""}`, ""},
		{`{"n\u0061me": "\u0061"}`, "a"},
	} {
		o := parse(t, c.text)
		if got := o.String("name", "default"); got != c.want || o.Err() != nil {
			t.Errorf("%s: name %q (%v), want %q", c.text, got, o.Err(), c.want)
		}
	}
}

func TestNoObject(t *testing.T) {
	for _, text := range []string{``, ` `, `null`, `[]`, `"a"`, `1`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1} {}`, `{}]`, `{}}`, `{} x`,
		"{\"a\":\"\x01\"}"} {
		_, err := Parse([]byte(text))
		if fault.Code(err) != fault.Decoding || !strings.HasPrefix(err.Error(), "configuration: ") {
			t.Errorf("%q: %v, want a fault with code %d", text, err, fault.Decoding)
		}
	}
}

// One reading finds all that is wrong, in the order of reading, and goes on with defaults.
func TestComplaints(t *testing.T) {
	o := parse(t, `{"s": 1, "b": "yes", "n": 70000, "m": "x", "f": 1.5, "l": {}, "ll": [1], "o": [
1 ], "os": [{}, 7, {"n": -1}],
		"lists": [[{"n": "1"}], {}], "a": "10.0.0.256", "z": "fe80::1%eth0", "p": "10.0.0.1", "q": "", "number": 7, "mac": "0a:58", "mac8": "02:00:5e:10:00:00:00:01",
		"group": "01:00:5e:00:00:01", "zero": "00:00:00:00:00:00"}`)
	if o.String("s", "def") != "def" || !o.Bool("b", true) || o.Int("n", 3, 1, 65535) != 3 || o.Int("m", 4, 5, 6) != 4 || o.Int("f", 1, 0, 9) != 1 {
		t.Error("a wrong value was not replaced by the default")
	}
	if o.Strings("l") != nil || o.Strings("ll") != nil || o.Object("o").Has("x") {
		t.Error("a wrong list or object is not empty")
	}
	for _, inner := range o.Objects("os") {
		inner.Int("n", 0, 0, 9)
	}
	for _, list := range o.ObjectLists("lists") {
		for _, inner := range list {
			inner.Int("n", 0, 0, 9)
		}
	}
	o.Addr("a")
	o.Addr("z")
	o.Prefix("p")
	o.Prefix("q")
	for _, read := range []func(){func() { o.Addr("number") }, func() { o.Prefix("number") }, func() { o.MAC("number") }} {
		read() // one complaint each
	}
	o.MAC("mac")
	o.MAC("mac8")
	o.MAC("group")
	o.MAC("zero")
	want := []string{
		`s: 1: must be a string`,
		`b: "yes": must be true or false`,
		`n: 70000: must be a whole number from 1 to 65535`,
		`m: "x": must be a whole number from 5 to 6`,
		`f: 1.5: must be a whole number from 0 to 9`,
		`l: {}: must be a list of strings`,
		`ll: [1]: must be a list of strings`,
		`o: [1]: must be an object`,
		`os[1]: 7: must be an object`,
		`os[2].n: -1: must be a whole number from 0 to 9`,
		`lists[1]: {}: must be a list`,
		`lists[0][0].n: "1": must be a whole number from 0 to 9`,
		`a: "10.0.0.256": must be an IP address`,
		`z: "fe80::1%eth0": must be an IP address`,
		`p: "10.0.0.1": must be an address and prefix length, as in 10.1.0.0/16`,
		`q: "": must be an address and prefix length, as in 10.1.0.0/16`,
		`number: 7: must be a string`,
		`mac: "0a:58": must be an Ethernet address, as in 0a:58:0a:01:00:02`,
		`mac8: "02:00:5e:10:00:00:00:01": must be an Ethernet address, as in 0a:58:0a:01:00:02`,
		`group: "01:00:5e:00:00:01": must be an Ethernet address that one interface may have, neither zero nor a group's`,
		`zero: "00:00:00:00:00:00": must be an Ethernet address that one interface may have, neither zero nor a group's`,
	}
	err := o.Err()
	if fault.Code(err) != fault.Config {
		t.Fatalf("%v: code %d, want %d", err, fault.Code(err), fault.Config)
	}
	var got []string
	for _, c := range o.Complaints() {
		got = append(got, c.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	o := parse(t, `{"addr": "::ffff:10.0.0.1", "none": "", "prefix": "10.0.0.7/8", "mapped": "::ffff:10.0.0.7/104", "mac": "0A-58-0a-00-00-01",
		"empty": [], "null": null, "sets": [[{"Subnet": "a"}, {"subnet": "b"}], [], null]}`)
	got := []any{o.Addr("ADDR"), o.Addr("none"), o.Addr("absent"), o.Prefix("prefix"), o.Prefix("mapped"), o.Prefix("absent"), o.MAC("mac").String(),
		o.Strings("empty") != nil, o.Strings("absent") == nil, o.Has("null"), o.Mentions("Null"), o.Mentions("absent")}
	want := []any{netip.MustParseAddr("10.0.0.1"), netip.Addr{}, netip.Addr{}, netip.MustParsePrefix("10.0.0.7/8"),
		netip.MustParsePrefix("10.0.0.7/8"), netip.Prefix{}, "0a:58:0a:00:00:01", true, true, false, true, false}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var sets []string
	for _, set := range o.ObjectLists("sets") {
		for _, one := range set {
			sets = append(sets, one.Path("subnet")+"="+one.String("subnet", ""))
		}
		sets = append(sets, "|")
	}
	if got := strings.Join(sets, " "); got != "sets[0][0].subnet=a sets[0][1].subnet=b | | |" {
		t.Errorf("lists of lists read as %s", got)
	}
	if err := o.Err(); err != nil {
		t.Errorf("complaints of what is right: %v", err)
	}
}

// FuzzParse holds the promise of the package comment: what is an object, and which of several members counts, is as in encoding/json.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"name":"a"}`, `{"Name":"b","NAME":null,"name":"c"}`, `{"name":{"name":"x"}}`, `{}]`, `[`, `{"name":"\ud800"}`, `null`, `{"a":1}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var members map[string]json.RawMessage
		is := json.Unmarshal(data, &members) == nil && members != nil
		o, err := Parse(data)
		if is != (err == nil) {
			t.Fatalf("%q: an object for encoding/json: %v; here: %v", data, is, err)
		}
		if err != nil {
			return
		}
		var want struct{ Name string }
		wrong := json.Unmarshal(data, &want) != nil
		got := o.String("name", "")
		if !wrong && o.Err() == nil && got != want.Name {
			t.Fatalf("%q: name %q, want %q", data, got, want.Name)
		}
		if o.Err() != nil && !wrong {
			t.Fatalf("%q: %v, without reason", data, o.Err())
		}
	})
}

// A value that is a page is shown by its beginning: what is wrong with it comes after it.
func TestLongValue(t *testing.T) {
	o := parse(t, `{}`)
	o.Reject("key", strings.Repeat("ä", 3000), "must be short")
	if text := o.Err().Error(); len(text) > ofAValue+40 || !strings.HasSuffix(text, `ä ...: must be short`) {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}
