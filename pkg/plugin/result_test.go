package plugin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
)

const result100 = `{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "mtu": 1400, "sandbox": "/x"}],
	"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 0}, {"address": "fd00::2/64", "interface": 0}],
	"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1"}]}`

func TestPrint(t *testing.T) {
	const dual02 = `{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0"}]},` +
		`"ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0","gw":"fd00::1"}]},"dns":{}}`
	const dual04 = `{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/x"}],` +
		`"ips":[{"version":"4","interface":0,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","interface":0,"address":"fd00::2/64"}],` +
		`"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}],"dns":{}}`
	const dual10 = `{"cniVersion":"1.0.0","interfaces":[{"mac":"02:00:00:00:00:01","mtu":1400,"name":"eth0","sandbox":"/x"}],` +
		`"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":0},{"address":"fd00::2/64","interface":0}],` +
		`"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}]}`
	for version, want := range map[string]string{"0.2.0": dual02, "0.4.0": dual04, "1.0.0": dual10} {
		result, err := ParseResult([]byte(result100), "1.1.0")
		must(t, err)
		a := call(t, minimal, `{"name": "net", "cniVersion": "`+version+`"}`, func(_ context.Context, r *Request) error { return r.Print(result) })
		if diff := cmp.Diff(want, spaceless(a.out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}

// A result that the version has no words for is an error, and nothing is printed beside it.
func TestPrintWithoutAddress(t *testing.T) {
	result, err := ParseResult([]byte(`{"interfaces": [{"name": "eth0"}]}`), "1.1.0")
	must(t, err)
	a := call(t, minimal, `{"name": "net", "cniVersion": "0.2.0"}`, func(_ context.Context, r *Request) error { return r.Print(result) })
	if e := a.fault(t); e.Code != fault.Version || e.CNIVersion != "0.2.0" {
		t.Errorf("%s, want code 1", a.out)
	}
}

func TestPrevResult(t *testing.T) {
	for _, c := range []struct{ version, prev, want string }{
		{"1.1.0", result100, "10.1.0.2/24"},
		{"1.0.0", `{"ips": [{"address": "10.1.0.3/24"}]}`, "10.1.0.3/24"},
		{"1.0.0", `{"cniVersion": "", "ips": [{"address": "10.1.0.3/24"}]}`, "10.1.0.3/24"},
		{"0.4.0", `{"ips": [{"version": "4", "address": "10.1.0.4/24"}]}`, "10.1.0.4/24"},
		{"0.2.0", `{"ip4": {"ip": "10.1.0.5/24"}}`, "10.1.0.5/24"},
		{"1.0.0", `null`, "none"},
		{"1.0.0", `7`, "code 6"},
		{"1.0.0", `{"ips": 7}`, "code 6"},
		{"1.0.0", `{"cniVersion": "0.4.0", "ips": []}`, "code 6"},
		{"1.1.0", `{"ips": [null]}`, "code 6"},
		{"0.3.1", `{"ips": [{"version": "4", "address": "10.1.0.4/24"}, null]}`, "code 6"},
		{"1.0.0", `{"Interfaces": [{"name": "eth0"}, null]}`, "code 6"},
		{"0.4.0", `{"routes": [null]}`, "code 6"},
	} {
		config := `{"name": "net", "cniVersion": "` + c.version + `", "prevResult": ` + c.prev + `}`
		got := "none"
		a := call(t, minimal, config, func(_ context.Context, r *Request) error {
			prev, err := r.PrevResult()
			if prev != nil {
				got = prev.IPs[0].Address.String()
			}
			return err
		})
		if a.status != 0 && a.fault(t).Code == fault.Decoding {
			got = "code 6"
		}
		if got != c.want {
			t.Errorf("%s: %s %s, want %s", config, got, a.out, c.want)
		}
	}
}

func TestValidAttachments(t *testing.T) {
	for _, c := range []struct {
		key         string
		known, mine bool
	}{
		{``, false, false},
		{`, "cni.dev/valid-attachments": []`, true, false},
		{`, "cni.dev/valid-attachments": null`, true, false},
		{`, "cni.dev/valid-attachments": [{"containerID": "ctr1", "ifname": "eth0"}]`, true, true},
		{`, "cni.dev/attachments": [{"containerID": "ctr1", "ifname": "eth0"}]`, true, true},
		{`, "cni.dev/valid-attachments": [{"containerID": "ctr1", "ifname": "eth1"}]`, true, false},
	} {
		config := `{"name": "net", "cniVersion": "1.1.0"` + c.key + `}`
		a := call(t, with("CNI_COMMAND=GC"), config, func(_ context.Context, r *Request) error {
			valid, err := r.ValidAttachments()
			if keeps := valid.Keeps(owner.Of("net", "ctr1", "eth0").ID); valid.Known != c.known || keeps != c.mine {
				t.Errorf("%s: known %v, keeps %v; want %v, %v", config, valid.Known, keeps, c.known, c.mine)
			}
			return err
		})
		if a.status != 0 {
			t.Errorf("%s: %s", config, a.out)
		}
	}
}

// TestMalformedAttachments wants a list with one bad entry refused before any plugin sees it: what that entry was to keep would go.
func TestMalformedAttachments(t *testing.T) {
	good := `{"containerID": "ctr1", "ifname": "eth0"}`
	for _, bad := range []string{`7`, `null`, `"ctr1/eth0"`, `{}`, `[]`, `{"containerID": "ctr1"}`, `{"ifname": "eth0"}`, `{"containerID": "", "ifname": "eth0"}`,
		`{"containerID": "ctr1", "ifname": ""}`, `{"containerID": "ctr1", "ifname": null}`, `{"containerID": 7, "ifname": "eth0"}`,
		`{"containerID": "ctr1", "ifname": ["eth0"]}`, `{"containerID": "../ctr1", "ifname": "eth0"}`, `{"containerID": "ctr1", "ifname": "a name too long for it"}`} {
		for _, list := range []string{`[` + bad + `]`, `[` + good + `, ` + bad + `]`, `[` + bad + `, ` + good + `]`} {
			for _, key := range []string{"cni.dev/valid-attachments", "cni.dev/attachments"} {
				a := call(t, with("CNI_COMMAND=GC"), fmt.Sprintf(`{"name": "net", "cniVersion": "1.1.0", %q: %s}`, key, list),
					func(context.Context, *Request) error { t.Errorf("%s %s: the plugin was called", key, list); return nil })
				if e := a.fault(t); e.Code != fault.Config {
					t.Errorf("%s %s: %s, want code 7", key, list, a.out)
				}
			}
		}
	}
	for _, list := range []string{`{}`, `"all"`, `true`, `{"containerID": "ctr1", "ifname": "eth0"}`} {
		a := call(t, with("CNI_COMMAND=GC"), `{"name": "net", "cniVersion": "1.1.0", "cni.dev/valid-attachments": `+list+`}`,
			func(context.Context, *Request) error { t.Errorf("%s: the plugin was called", list); return nil })
		if e := a.fault(t); e.Code != fault.Config {
			t.Errorf("%s: %s, want code 7", list, a.out)
		}
	}
}

func TestPrintFails(t *testing.T) {
	result, err := ParseResult([]byte(result100), "1.1.0")
	must(t, err)
	r := &Request{Version: "1.1.0", Streams: Streams{Out: broken{}}}
	if err := r.Print(result); fault.Code(err) != fault.IO {
		t.Errorf("%v, want code 5", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// What a delegate prints may be anything. Null has no version to be given.
func TestParseNoResult(t *testing.T) {
	for _, text := range []string{"null", "", "7", "[]", `{"cniVersion": 7, "ips": 7}`} {
		if result, err := ParseResult([]byte(text), "1.0.0"); err == nil {
			t.Errorf("%q: %v, want an error", text, result)
		}
	}
	if _, err := ParseResult([]byte(`{"cniVersion": 7}`), "1.0.0"); err != nil {
		t.Errorf("a version that is none is replaced: %v", err)
	}
}
