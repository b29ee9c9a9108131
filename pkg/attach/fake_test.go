package attach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/test/nstest"
)

// bench is a host with a plugin of two things, a link and an address, whose steps write a diary; its delegates are programs that write the
// same diary and say what the test wants them to say.
type bench struct {
	*testing.T
	dir     string
	netns   string
	there   map[string]bool
	fails   map[string]error // "apply address", "undo link", "guard link", "verify address", "ready link"
	holders []firewall.Holder
	during  func() // called by each Apply
	place   Place
}

func onBench(t *testing.T, f func(*bench)) {
	nstest.Run(t, func(t *testing.T) {
		f(&bench{T: t, dir: t.TempDir(), netns: nstest.Namespace(t, "c1"), there: make(map[string]bool), fails: make(map[string]error)})
	})
}

// part is one step of the bench's plugin; values says whether a result filled it in.
type part struct {
	*bench
	name   string
	values bool
}

func (p part) String() string { return p.name }

func (p part) do(what string) error { p.note(what + " " + p.name); return p.fails[what+" "+p.name] }

func (p part) Apply(context.Context, *site.Site) (bool, error) {
	err := p.do("apply")
	if p.during != nil {
		p.during()
	}
	created := err == nil && !p.there[p.name]
	p.there[p.name] = p.there[p.name] || created
	return created, err
}

func (p part) Undo(context.Context, *site.Site) error {
	err := p.do("undo")
	if err == nil {
		delete(p.there, p.name)
	}
	return err
}

func (p part) Verify(context.Context, *site.Site) error { return p.fails["verify "+p.name] }
func (p part) Guard(context.Context, *site.Site) error  { return p.fails["guard "+p.name] }
func (p part) Ready(context.Context, *site.Site) error  { return p.fails["ready "+p.name] }

func (p part) Owners(context.Context, *site.Site, [8]byte) ([]firewall.Holder, error) {
	return p.holders, p.fails["owners "+p.name]
}

// carrier is the part that the container's interface hangs on.
type carrier struct{ part }

func (carrier) Carries() {}

func (b *bench) kind() Kind[string] {
	return Kind[string]{
		Name:  "bench",
		Place: b.place,
		IPAM:  func(c string) string { return c },
		Parse: func(r *plugin.Request) (string, error) {
			r.Keys.Int("number", 0, 0, 9)
			return r.Keys.Object("ipam").String("type", ""), r.Keys.Err()
		},
		Plan: func(_ string, call Call) (plan.Plan, error) {
			result := &types100.Result{CNIVersion: plugin.Current}
			if call.Result != nil {
				result = call.Result
			}
			return plan.Plan{Steps: []plan.Step{carrier{part{b, "link", true}}, part{b, "address", call.Result != nil}}, Mark: 1, Result: result}, nil
		},
	}
}

func (b *bench) note(line string) {
	file, err := os.OpenFile(filepath.Join(b.dir, "diary"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(line + "\n"); err != nil {
		b.Fatal(err)
	}
}

// diary returns what was noted since the last call, and what is left of the plugin's things.
func (b *bench) diary(want ...string) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "diary"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
	_ = os.Remove(filepath.Join(b.dir, "diary")) // it need not be there
	var got []string
	if len(text) > 0 {
		got = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("diary (-want +got):\n%s", diff)
	}
}

// delegate puts a plugin of that name into CNI_PATH. It notes its verb; on the verb named it prints the answer, and fails if that is an error.
func (b *bench) delegate(name, verb, answer string, fails bool) {
	b.Helper()
	exit := "0"
	if fails {
		exit = "1"
	}
	script := "#!/bin/sh\necho \"ipam $CNI_COMMAND\" >> " + filepath.Join(b.dir, "diary") + "\n" +
		"if [ \"$CNI_COMMAND\" = " + verb + " ]; then echo '" + answer + "'; exit " + exit + "; fi\n"
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(script), 0o700); err != nil {
		b.Fatal(err)
	}
}

// call runs a verb of the plugin, and returns its answer and the error object, if it ended in one.
func (b *bench) call(ctx context.Context, verb, config string) (string, *fault.Error) {
	b.Helper()
	env := map[string]string{"CNI_COMMAND": verb, "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_NETNS": b.netns, "CNI_PATH": b.dir}
	var out, log bytes.Buffer
	config = `{"cniVersion":"1.1.0","name":"net","type":"bench"` + config + `}`
	status := plugin.Run(ctx, b.kind().Plugin(), env, plugin.Streams{In: strings.NewReader(config), Out: &out, Err: &log})
	if status == 0 {
		return out.String(), nil
	}
	var e struct {
		Code         uint
		Msg, Details string
	}
	if err := json.Unmarshal(out.Bytes(), &e); err != nil {
		b.Fatalf("%v: %s", err, out.Bytes())
	}
	return "", &fault.Error{Code: e.Code, Hint: e.Details, Err: errors.New(e.Msg)}
}

// refused wants an error with the code and the words.
func (b *bench) refused(err *fault.Error, code uint, words ...string) {
	b.Helper()
	if err == nil || err.Code != code {
		b.Errorf("%+v, want code %d", err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			b.Errorf("%v: does not say %q", err, word)
		}
	}
}

func (b *bench) done(_ string, err *fault.Error) {
	b.Helper()
	if err != nil {
		b.Errorf("%v (code %d)", err, err.Code)
	}
}
