package journal

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A line is what encoding/json makes of the entry, to the byte, whatever is in it; and of an entry with all there is, so that no member is forgotten.
func TestEncode(t *testing.T) {
	same := func(t interface{ Errorf(string, ...any) }, e Entry) {
		want, err := json.Marshal(e)
		if got := string(e.encode()); err != nil || got != string(want) {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
	at := time.Date(2026, 11, 26, 14, 3, 20, 120034000, time.FixedZone("", 3600))
	full := Entry{at, "ADD", "bridge", "net", "c1", "eth0", "shop/web", []string{"10.1.0.2/24", "fd00::2/64"}, 100, "port: taken", "free it", 4.027, []Phase{{"make veth", 0.35}, {"make <b>", 12}}, []string{"a", "b"},
		&Trace{"1", "2", "3"}}
	for i := range reflect.TypeOf(full).NumField() {
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Errorf("nothing in %s", reflect.TypeOf(full).Field(i).Name)
		}
	}
	same(t, full)
	same(t, Entry{})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		e := Entry{Time: at.Add(time.Duration(rapid.Int64().Draw(t, "time") % int64(1e17))).UTC(), Verb: text.Draw(t, "verb"), Network: text.Draw(t, "network"),
			Addresses: rapid.SliceOf(text).Draw(t, "addresses"), Code: rapid.Uint().Draw(t, "code"), Millis: millis(time.Duration(rapid.Int64Min(0).Draw(t, "took"))), Said: rapid.SliceOf(text).Draw(t, "said")}
		for range rapid.IntRange(0, 3).Draw(t, "phases") {
			e.Phases = append(e.Phases, Phase{text.Draw(t, "what"), millis(time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "ms")))})
		}
		same(t, e)
	})
}

// The addresses of a result are found in each version's form, and none in what is no result.
func TestAddressesIn(t *testing.T) {
	for result, want := range map[string]string{
		`{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"address": "fd00::2/64"}]}`:                  "10.1.0.2/24 fd00::2/64",
		`{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.2/24"}]}`:                                                    "10.1.0.2/24",
		`{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.2/24", "routes": [{"dst": "0.0.0.0/0"}]}, "ip6": {"ip": "fd00::2/64"}, "dns": {}}`: "10.1.0.2/24 fd00::2/64",
		`{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0"}]}`:                                                                       "", `{"ips": null}`: "", `{"ips": [null, 7, {}, {"address": 7}]}`: "", `{"ip4": []}`: "", `[]`: "", `7`: "", `{`: "", ``: "",
	} {
		if got := strings.Join(addressesIn([]byte(result)), " "); got != want {
			t.Errorf("%s: %q, want %q", result, got, want)
		}
	}
}
