package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
)

func TestAbout(t *testing.T) {
	a := call(t, map[string]string{}, "rubbish", never(t))
	want := "CNI test plugin, trestle development (unknown)\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
	if a.status != 0 || a.out != "" || a.log != want {
		t.Errorf("%d %q %q, want 0, nothing and %q", a.status, a.out, a.log, want)
	}
}

func TestVersion(t *testing.T) {
	a := call(t, map[string]string{"CNI_COMMAND": "VERSION"}, "rubbish", never(t))
	want := `{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}` + "\n"
	if a.status != 0 || a.out != want {
		t.Errorf("%d %q, want %q", a.status, a.out, want)
	}
}

func TestEnvironment(t *testing.T) {
	got := Environment([]string{"A=1", "B=x=y", "junk", "A=2", "C="})
	if diff := cmp.Diff(map[string]string{"A": "2", "B": "x=y", "C": ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every refusal of the environment has code 4, names all that is missing, and comes before the verb.
func TestBadEnvironment(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{with("CNI_COMMAND=add"), `CNI_COMMAND: "add": unknown command`},
		{with("CNI_CONTAINERID=", "CNI_NETNS=", "CNI_IFNAME=", "CNI_PATH="),
			"environment: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH: missing"},
		{with("CNI_COMMAND=DEL", "CNI_CONTAINERID=", "CNI_NETNS=", "CNI_IFNAME=", "CNI_PATH="),
			"environment: CNI_CONTAINERID, CNI_IFNAME, CNI_PATH: missing"},
		{with("CNI_COMMAND=CHECK", "CNI_NETNS="), "environment: CNI_NETNS: missing"},
		{map[string]string{"CNI_COMMAND": "GC"}, "environment: CNI_PATH: missing"},
		{map[string]string{"CNI_COMMAND": "STATUS"}, "environment: CNI_PATH: missing"},
		{with("CNI_CONTAINERID=../x"), `CNI_CONTAINERID: "../x": not a container ID`},
		{with("CNI_CONTAINERID=.x"), `CNI_CONTAINERID: ".x": not a container ID`},
		{with("CNI_IFNAME=eth0/1"), `CNI_IFNAME: "eth0/1": not an interface name`},
		{with("CNI_IFNAME=sixteenbyteslong"), `CNI_IFNAME: "sixteenbyteslong": not an interface name`},
		{with("CNI_IFNAME=all"), `CNI_IFNAME: "all": not an interface name`},
		{with("CNI_IFNAME=default"), `CNI_IFNAME: "default": not an interface name`},
		{with("CNI_IFNAME=."), `CNI_IFNAME: ".": not an interface name`},
		{with("CNI_IFNAME=a:b"), `CNI_IFNAME: "a:b": not an interface name`},
		{with("CNI_IFNAME=a\u00a0b"), "CNI_IFNAME: \"a\\u00a0b\": not an interface name"},
	} {
		a := call(t, c.env, config, never(t))
		if e := a.fault(t); a.status != 1 || e.Code != fault.Environment || e.Msg != c.want || e.Details == "" {
			t.Errorf("%v: %d %s, want code 4 %q with a remedy", c.env, a.status, a.out, c.want)
		}
	}
}

// Where nothing is missing for the verb, it is called, whatever else there is.
func TestGoodEnvironment(t *testing.T) {
	for _, env := range []map[string]string{
		minimal,
		with("CNI_COMMAND=DEL", "CNI_NETNS="),
		with("CNI_IFNAME=fifteenbytes-ok", "CNI_CONTAINERID=0_a.B-c"),
		{"CNI_COMMAND": "GC", "CNI_PATH": "/none", "CNI_CONTAINERID": "../x"},
		{"CNI_COMMAND": "STATUS", "CNI_PATH": "/none"},
	} {
		called := ""
		a := call(t, env, config, func(_ context.Context, r *Request) error { called = r.Command; return nil })
		if a.status != 0 || a.out != "" || called != env["CNI_COMMAND"] {
			t.Errorf("%v: %d %q, called %q", env, a.status, a.out, called)
		}
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, c := range []struct {
		command, config string
		code            uint
	}{
		{"ADD", ``, fault.Decoding},
		{"ADD", `rubbish`, fault.Decoding},
		{"ADD", `[]`, fault.Decoding},
		{"ADD", `{"name": "net"} {}`, fault.Decoding},
		{"ADD", `{"name": 7}`, fault.Decoding},
		{"ADD", `{"cniVersion": "1.1.0"}`, fault.Config},
		{"ADD", `{"cniVersion": "1.1.0", "name": ""}`, fault.Config},
		{"ADD", `{"cniVersion": "1.1.0", "name": "../net"}`, fault.Config},
		{"ADD", `{"cniVersion": "1.1.0", "name": ".net"}`, fault.Config},
		{"ADD", `{"cniVersion": "one", "name": "net"}`, fault.Version},
		{"ADD", `{"cniVersion": "1.1.0.0", "name": "net"}`, fault.Version},
		{"ADD", `{"cniVersion": "1.1", "name": "net"}`, fault.Version},
		{"ADD", `{"cniVersion": " 1.1.0", "name": "net"}`, fault.Version},
		{"ADD", `{"cniVersion": "v1.1.0", "name": "net"}`, fault.Version},
		{"ADD", `{"cniVersion": "-1.1.0", "name": "net"}`, fault.Version},
		{"CHECK", `{"cniVersion": "x", "name": "net"}`, fault.Version},
		{"GC", `{"cniVersion": "x", "name": "net"}`, fault.Version},
		{"ADD", `{"cniVersion": 1.1, "name": "net"}`, fault.Decoding},
		{"ADD", `{"cniVersion": "2.0.0", "name": "net"}`, fault.Version},
		{"DEL", `{"cniVersion": "0.3.2", "name": "net"}`, fault.Version},
		{"CHECK", `{"cniVersion": "0.3.1", "name": "net"}`, fault.Version},
		{"CHECK", `{"name": "net"}`, fault.Version},
		{"GC", `{"cniVersion": "1.0.0", "name": "net"}`, fault.Version},
		{"STATUS", `{"cniVersion": "1.0.0", "name": "net"}`, fault.Version},
	} {
		a := call(t, with("CNI_COMMAND="+c.command), c.config, never(t))
		if e := a.fault(t); a.status != 1 || e.Code != c.code || e.Msg == "" {
			t.Errorf("%s %s: %d %s, want code %d", c.command, c.config, a.status, a.out, c.code)
		}
	}
}

func TestBadInput(t *testing.T) {
	var out, log bytes.Buffer
	p := Plugin{Name: "test", Add: never(t)}
	status := Run(t.Context(), p, minimal, Streams{In: iotest.ErrReader(errors.New("torn")), Out: &out, Err: &log})
	if e := (reply{out: out.String()}).fault(t); status != 1 || e.Code != fault.IO || e.Msg != "standard input: torn" {
		t.Errorf("%d %s, want code 5", status, out.String())
	}
}

// An absent version is 0.1.0, as the specification has it, and keys match in any case.
func TestHeader(t *testing.T) {
	for config, want := range map[string]string{
		`{"name": "net"}`:                                      "net 0.1.0",
		`{"NAME": "net", "CniVersion": "0.4.0"}`:               "net 0.4.0",
		`{"name": "a", "Name": "b", "cniVersion": null}`:       "b 0.1.0",
		`{"name": "net", "name": null, "cniVersion": "1.0.0"}`: "net 1.0.0",
	} {
		got := ""
		a := call(t, minimal, config, func(_ context.Context, r *Request) error { got = r.Network + " " + r.Version; return nil })
		if got != want {
			t.Errorf("%s: %q %s, want %q", config, got, a.out, want)
		}
	}
}

// An error is one object in the configuration's version, with the first code and the first remedy that are in it.
func TestError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("link: gone"), `{"cniVersion": "1.0.0", "code": 999, "msg": "link: gone"}`},
		{fmt.Errorf("bridge: %w", fault.New(fault.Taken, "free it", "port 80: taken")),
			`{"cniVersion": "1.0.0", "code": 100, "msg": "bridge: port 80: taken", "details": "free it"}`},
		{errors.Join(errors.New("a"), fault.New(fault.Drift, "", "b")), `{"cniVersion": "1.0.0", "code": 102, "msg": "a\nb"}`},
	} {
		a := call(t, minimal, `{"cniVersion": "1.0.0", "name": "net"}`, func(context.Context, *Request) error { return c.err })
		if diff := cmp.Diff(spaceless(c.want), spaceless(a.out)); diff != "" || a.status != 1 {
			t.Errorf("%v: %d (-want +got):\n%s", c.err, a.status, diff)
		}
	}
}

func spaceless(json string) string { return strings.Join(strings.Fields(json), "") }

func TestPanic(t *testing.T) {
	a := call(t, minimal, config, func(context.Context, *Request) error { panic("oh") })
	if e := a.fault(t); e.Code != fault.Internal || e.Msg != "test: panic: oh" || !strings.Contains(a.log, "shell_test.go") {
		t.Errorf("%s, log %q", a.out, a.log)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, log bytes.Buffer
	p := Plugin{Name: "test", Add: func(ctx context.Context, _ *Request) error {
		cancel()
		return fmt.Errorf("step: %w", ctx.Err())
	}}
	status := Run(ctx, p, minimal, Streams{In: strings.NewReader(config), Out: &out, Err: &log})
	if e := (reply{out: out.String()}).fault(t); status != 1 || e.Code != fault.Interrupted {
		t.Errorf("%d %s, want code 105", status, out.String())
	}
}

// What an error quotes does not steer the terminal of who reads it.
func TestErrorIsPlain(t *testing.T) {
	const name = "a\u202eb\u009b31m\x7f"
	a := call(t, minimal, config, func(context.Context, *Request) error { return errors.New(name) })
	if e := a.fault(t); e.Msg != name || strings.ContainsAny(a.out, "\u202e\u009b\x7f") {
		t.Errorf("%q", a.out)
	}
}

// Of many complaints about a configuration so many are printed that a runtime which cuts what it shows still shows the remedy; a single one, and whatever
// is no complaint, is printed whole.
func TestShown(t *testing.T) {
	long := strings.Repeat("x", 2*mostShown)
	for _, c := range []struct {
		err  error
		want string
	}{
		{fault.New(fault.Config, "mend it", "a: wrong; b: wrong"), "a: wrong; b: wrong"},
		{fault.New(fault.Config, "mend it", "a: wrong; b: wrong; c: %s; d: wrong", long), "a: wrong; b: wrong; and more, see trestle lint"},
		{fault.New(fault.Config, "mend it", "a: %s", long), "a: " + long},
		{fault.New(fault.Drift, "", "a; %s", long), "a; " + long},
	} {
		if got := shown(c.err); got != c.want {
			t.Errorf("%.60s: %.60s, want %.60s", c.err, got, c.want)
		}
	}
}
