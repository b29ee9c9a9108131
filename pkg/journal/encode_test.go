package journal

import (
	"encoding/json"
	"reflect"
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
	full := Entry{at, "ADD", "bridge", "net", "c1", "eth0", "shop/web", 100, "port: taken", "free it", 4.027, []Phase{{"make veth", 0.35}, {"make <b>", 12}}, []string{"a", "b"},
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
			Code: rapid.Uint().Draw(t, "code"), Millis: millis(time.Duration(rapid.Int64Min(0).Draw(t, "took"))), Said: rapid.SliceOf(text).Draw(t, "said")}
		for range rapid.IntRange(0, 3).Draw(t, "phases") {
			e.Phases = append(e.Phases, Phase{text.Draw(t, "what"), millis(time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "ms")))})
		}
		same(t, e)
	})
}
