package plugin

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
)

func TestArgs(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                             {},
		"IP=10.1.0.2":                  {"IP": "10.1.0.2"},
		"IP=":                          {"IP": ""},
		"IP=10.1.0.2;":                 {"IP": "10.1.0.2"},
		"IP=10.1.0.2;;":                {"IP": "10.1.0.2"},
		";":                            {},
		"MAC=02:00:00:00:00:01;IP=::1": {"MAC": "02:00:00:00:00:01", "IP": "::1"},
		"IgnoreUnknown=1;K8S_POD_NAME=a;K8S_POD_UID=b": {"IgnoreUnknown": "1", "K8S_POD_NAME": "a", "K8S_POD_UID": "b"},
		"K8S_POD_NAME=a;IgnoreUnknown=TRUE":            {"K8S_POD_NAME": "a", "IgnoreUnknown": "TRUE"},
	} {
		var got map[string]string
		a := call(t, with("CNI_ARGS="+text), config, func(_ context.Context, r *Request) error { got = r.Args; return nil })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s (-want +got):\n%s", text, a.out, diff)
		}
	}
}

// Arguments that are wrong are an error of an ADD. What lives was made with other ones, and every other verb is about that.
func TestBadArgs(t *testing.T) {
	for text, want := range map[string]string{
		"IP":                              `CNI_ARGS: "IP": not KEY=VALUE`,
		"IP=1;;MAC=2":                     `CNI_ARGS: "": not KEY=VALUE`,
		"IP=1=2;x":                        `CNI_ARGS: "IP=1=2;x": not KEY=VALUE`,
		"ip=1;Z=2":                        "CNI_ARGS: Z, ip: unknown",
		"IgnoreUnknown=0;ip=1":            "CNI_ARGS: ip: unknown",
		"IgnoreUnknown=maybe;K8S_POD_X=1": `CNI_ARGS: IgnoreUnknown: "maybe": not a truth value`,
	} {
		a := call(t, with("CNI_ARGS="+text), config, never(t))
		if e := a.fault(t); e.Code != fault.Environment || e.Msg != want {
			t.Errorf("ADD %q: %s, want code 4 %q", text, a.out, want)
		}
		for _, command := range []string{"CHECK", "DEL", "GC", "STATUS"} {
			if a := call(t, with("CNI_COMMAND="+command, "CNI_ARGS="+text), config, silent); a.status != 0 {
				t.Errorf("%s %q: %s", command, text, a.out)
			}
		}
		var out bytes.Buffer
		deaf := Plugin{Name: "deaf", Add: silent}
		if Run(t.Context(), deaf, with("CNI_ARGS="+text), Streams{In: strings.NewReader(config), Out: &out, Err: &out}) != 0 {
			t.Errorf("ADD %q of a plugin that reads none: %s", text, out.String())
		}
	}
}
