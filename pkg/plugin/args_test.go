package plugin

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
)

func TestArgs(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                             {},
		"IP=10.1.0.2":                  {"IP": "10.1.0.2"},
		"IP=":                          {"IP": ""},
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

// Arguments that are wrong are an error of every verb that makes or looks, and of none that cleans.
func TestBadArgs(t *testing.T) {
	for text, want := range map[string]string{
		"IP":                              `CNI_ARGS: "IP": not KEY=VALUE`,
		"IP=1;;MAC=2":                     `CNI_ARGS: "": not KEY=VALUE`,
		"IP=1;":                           `CNI_ARGS: "": not KEY=VALUE`,
		"IP=1=2;x":                        `CNI_ARGS: "IP=1=2;x": not KEY=VALUE`,
		"ip=1;Z=2":                        "CNI_ARGS: Z, ip: unknown",
		"IgnoreUnknown=0;ip=1":            "CNI_ARGS: ip: unknown",
		"IgnoreUnknown=maybe;K8S_POD_X=1": `CNI_ARGS: IgnoreUnknown: "maybe": not a truth value`,
	} {
		for _, command := range []string{"ADD", "CHECK"} {
			a := call(t, with("CNI_COMMAND="+command, "CNI_ARGS="+text), config, never(t))
			if e := a.fault(t); e.Code != fault.Environment || e.Msg != want {
				t.Errorf("%s %q: %s, want code 4 %q", command, text, a.out, want)
			}
		}
		if a := call(t, with("CNI_COMMAND=DEL", "CNI_ARGS="+text), config, silent); a.status != 0 {
			t.Errorf("DEL %q: %s", text, a.out)
		}
	}
}
