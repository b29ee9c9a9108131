package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestMain makes this test binary the delegate of the tests of delegation: DELEGATE says how it behaves.
func TestMain(m *testing.M) {
	if kind := os.Getenv("DELEGATE"); kind != "" {
		os.Exit(delegate(kind))
	}
	os.Exit(m.Run())
}

func delegate(kind string) int {
	switch kind {
	case "answers":
		fmt.Fprintf(os.Stderr, "said %s for %s\n", os.Getenv("CNI_COMMAND"), os.Getenv("CNI_CONTAINERID"))
		fmt.Print(`{"ips": [{"address": "10.1.0.2/24"}]}`)
		return 0
	case "versioned":
		fmt.Print(os.Getenv("ANSWER"))
		return 0
	case "rubbish":
		fmt.Print("hello")
		return 0
	case "refuses":
		fmt.Print(`{"cniVersion": "1.1.0", "code": 101, "msg": "no address is free", "details": "widen the range"}`)
		return 1
	case "fails in silence":
		return 3
	case "complains in prose":
		fmt.Fprintln(os.Stderr, "segmentation fault, core dumped")
		return 2
	case "dies":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "is signalled":
		return signalled()
	}
	return 99
}

// reply is what came of a call.
type reply struct {
	status   int
	out, log string
}

// fault reads the error object.
func (r reply) fault(t *testing.T) (e struct {
	CNIVersion   string
	Code         uint
	Msg, Details string
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.out), &e); err != nil {
		t.Fatalf("not an error object: %v: %s", err, r.out)
	}
	return e
}

// minimal is an environment in which every command is complete.
var minimal = map[string]string{
	"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "ctr1", "CNI_NETNS": "/run/netns/none", "CNI_IFNAME": "eth0", "CNI_PATH": "/none",
}

const config = `{"cniVersion": "1.1.0", "name": "net", "type": "test"}`

// with returns the minimal environment, changed; an empty value takes the variable away.
func with(changes ...string) map[string]string {
	env := maps.Clone(minimal)
	for _, change := range changes {
		key, value, _ := strings.Cut(change, "=")
		env[key] = value
		if value == "" {
			delete(env, key)
		}
	}
	return env
}

// call runs a plugin of which every verb is f.
func call(t *testing.T, env map[string]string, stdin string, f func(context.Context, *Request) error) reply {
	t.Helper()
	var out, log bytes.Buffer
	p := Plugin{Name: "test", Args: true, Add: f, Del: f, Check: f, GC: f, Status: f}
	status := Run(t.Context(), p, env, Streams{In: strings.NewReader(stdin), Out: &out, Err: &log})
	return reply{status, out.String(), log.String()}
}

func never(t *testing.T) func(context.Context, *Request) error {
	return func(context.Context, *Request) error {
		t.Error("the verb was called")
		return nil
	}
}

func silent(context.Context, *Request) error { return nil }

var must = nstest.Must
