package plugin

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"pgregory.net/rapid"
)

// What is read is what the library reads, whatever of a result's fields is set: those that the library will get, too.
func TestDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r types100.Result
		fill(t, reflect.ValueOf(&r).Elem())
		r.CNIVersion = rapid.SampledFrom([]string{"1.0.0", "1.1.0"}).Draw(t, "version")
		var text bytes.Buffer
		if r.PrintTo(&text) != nil {
			return
		}
		sameAsLibrary(t, text.Bytes(), rapid.SampledFrom([]string{"1.0.0", "1.1.0", "0.4.0"}).Draw(t, "asked"))
	})
}

// What every ADD in a list meets is read without the library.
func TestDecodeUsual(t *testing.T) {
	for _, text := range usualResults {
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if _, ok := decode([]byte(text), version); !ok {
				t.Errorf("left to the library: %s", text)
			}
			sameAsLibrary(t, []byte(text), version)
		}
	}
}

var usualResults = []string{
	`{"cniVersion":"1.0.0","dns":{},"interfaces":[{"mac":"2a:00:00:00:00:01","name":"br0"},{"mac":"2a:00:00:00:00:02","name":"eth0","sandbox":"/run/netns/a","mtu":1500}],` +
		`"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":1},{"address":"fd00::2/64","gateway":"fd00::1"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}]}`,
	"{\n  \"ips\": [ { \"address\": \"10.1.0.2/24\" } ],\r\n\t\"routes\": [{\"dst\": \"10.0.0.0/8\", \"table\": 0, \"scope\": 253, \"mtu\": 1400, \"advmss\": 1, \"priority\": 7}],\n" +
		`"dns": {"nameservers": ["10.1.0.1"], "domain": "x", "search": ["a", "b"], "options": []}, "interfaces": []}` + "\n",
	`{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","socketPath":"/run/s","pciID":"0000:00:1f.6"}]}`,
	`{}`,
}

// What is not as usual is left to the library, or read as it reads it.
var unusualResults = []string{
	``, `null`, `[]`, `{`, `{"ips"}`, `{} {}`, `{"ips":null}`, `{"ips":[null]}`, `{"ips":[{}]}`, `{"ips":[],}`, `{"ips":[,]}`, `{"ips":[{"address":"10.1.0.2/24"},]}`,
	`{"IPs":[{"address":"10.1.0.2/24"}]}`, `{"ips":[{"address":"10.1.0.2/24"}],"ips":[{"gateway":"10.1.0.1"}]}`, `{"ips":[{"address":"10.1.0.2"}]}`,
	`{"ips":[{"address":"10.1.0.2/24","gateway":""}]}`, `{"ips":[{"address":"10.1.0.2/24","interface":01}]}`, `{"ips":[{"address":"10.1.0.2/24","interface":-1}]}`,
	`{"ips":[{"address":"10.1.0.2/24","interface":1.0}]}`, `{"ips":[{"address":"10.1.0.2/24","interface":99999999999999999999}]}`, `{"routes":[{}]}`,
	`{"routes":[{"dst":"::ffff:10.0.0.0/104","gw":"::ffff:10.0.0.1"}]}`, `{"cniVersion":""}`, `{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.0.2/24"}]}`,
	`{"cniVersion":"1.2.0"}`, `{"cniVersion":1}`, `{"interfaces":[{"name":"a\u0062"}]}`, `{"interfaces":[{"name":"ä"}]}`, "{\"interfaces\":[{\"name\":\"a\nb\"}]}",
	`{"dns":{"search":"x"}}`, `{"dns":[]}`, `{"more":{"a":[1]}}`, "\xef\xbb\xbf{}", `{"ips":[{"address":"10.1.0.2/024"}]}`, `{"ips":[{"address":"010.1.0.2/24"}]}`,
}

func TestDecodeUnusual(t *testing.T) {
	for _, text := range unusualResults {
		sameAsLibrary(t, []byte(text), "1.0.0")
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range slices.Concat(usualResults, unusualResults) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsLibrary(t, text, "1.0.0") })
}

// sameAsLibrary fails if the text is read, and not as the library reads it.
func sameAsLibrary(t interface{ Fatalf(string, ...any) }, text []byte, version string) {
	got, ok := decode(text, version)
	if !ok {
		return
	}
	want, err := byLibrary(text, version)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\nread as\n%+v\nthe library: %v\n%+v", text, got, err, want)
	}
}
