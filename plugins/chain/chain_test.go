package chain

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

	"github.com/trestle-cni/trestle/pkg/plugin"
)

// recorder is a plugin that notes each call and adds an interface of its name to the result.
type recorder struct {
	calls *[]string
	fails string // the verb at which it fails
}

func (r recorder) plugin(name string) plugin.Plugin {
	verb := func(_ context.Context, req *plugin.Request) error {
		*r.calls = append(*r.calls, req.Command+" "+name+" "+string(req.Config))
		if req.Command == r.fails {
			return errors.New("no")
		}
		return nil
	}
	add := func(ctx context.Context, req *plugin.Request) error {
		if err := verb(ctx, req); err != nil {
			return err
		}
		result, err := req.PrevResult()
		if err != nil {
			return err
		}
		if result == nil {
			result = &types100.Result{CNIVersion: "1.1.0"}
		}
		result.Interfaces = append(result.Interfaces, &types100.Interface{Name: name})
		return req.Print(result)
	}
	return plugin.Plugin{Name: name, Add: add, Del: verb, Check: verb, GC: verb, Status: verb}
}

// call runs the chain with the plugins a, b and c, of which the last fails at the verb given, and returns what it printed and what was called.
func call(t *testing.T, command, config, fails string) (status int, out string, calls []string) {
	t.Helper()
	bundle := plugin.Bundle{Name: Plugin()}
	for _, name := range []string{"a", "b"} {
		bundle[name] = recorder{calls: &calls}.plugin(name)
	}
	bundle["c"] = recorder{calls: &calls, fails: fails}.plugin("c")
	maker := bundle["b"]
	maker.Makes = true
	bundle["b"] = maker
	env := map[string]string{"CNI_COMMAND": command, "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0", "CNI_PATH": "/none"}
	var stdout, stderr bytes.Buffer
	status = bundle.Run(context.Background(), Name, env, plugin.Streams{In: strings.NewReader(config), Out: &stdout, Err: &stderr})
	return status, stdout.String(), calls
}

const three = `{"cniVersion":"1.1.0","name":"net","type":"trestle","capabilities":{"ports":true},
	"runtimeConfig":{"ports":[1],"mac":"x"},"cni.dev/valid-attachments":[],
	"plugins":[{"type":"a","someKey":1},{"type":"b","capabilities":{"ports":true}},{"type":"c"}]}`

// heads cuts what was called down to verb and plugin.
func heads(calls []string) string {
	var list []string
	for _, c := range calls {
		list = append(list, strings.Join(strings.SplitN(c, " ", 3)[:2], " "))
	}
	return strings.Join(list, ", ")
}

func TestOrder(t *testing.T) {
	for command, want := range map[string]string{
		"ADD":    "ADD a, ADD b, ADD c",
		"DEL":    "DEL c, DEL b, DEL a",
		"CHECK":  "CHECK a, CHECK b, CHECK c",
		"GC":     "GC a, GC b, GC c",
		"STATUS": "STATUS a, STATUS b, STATUS c",
	} {
		status, out, calls := call(t, command, three, "")
		if got := heads(calls); status != 0 || got != want {
			t.Errorf("%s: status %d %s, called %s, want %s", command, status, out, got, want)
		}
	}
	unlisted := strings.Replace(three, `,"cni.dev/valid-attachments":[]`, "", 1)
	if status, out, calls := call(t, "GC", unlisted, ""); status != 0 || heads(calls) != "GC c, GC b, GC a" {
		t.Errorf("GC without a list: status %d %s, called %s", status, out, heads(calls))
	}
}

func TestFaultInTheLastUndoesTheOthers(t *testing.T) {
	status, out, calls := call(t, "ADD", three, "ADD")
	if got, want := heads(calls), "ADD a, ADD b, ADD c, DEL b, DEL a"; status != 1 || got != want {
		t.Errorf("status %d, called %s, want %s", status, got, want)
	}
	if !strings.Contains(out, "plugin c: no") {
		t.Errorf("error %s does not name the plugin and its cause", out)
	}
}

func TestDelTriesAll(t *testing.T) {
	status, _, calls := call(t, "DEL", three, "DEL")
	if got, want := heads(calls), "DEL c, DEL b, DEL a"; status != 1 || got != want {
		t.Errorf("status %d, called %s, want %s", status, got, want)
	}
}

func TestWhatEachPluginGets(t *testing.T) {
	_, out, calls := call(t, "ADD", three, "")
	type object = map[string]any
	attachments := object{"cni.dev/valid-attachments": []any{}}
	with := func(more ...object) object {
		all := object{"name": "net", "cniVersion": "1.1.0"}
		for _, m := range append(more, attachments) {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	result := func(names ...string) object {
		var links []any
		for _, name := range names {
			links = append(links, object{"name": name})
		}
		return object{"cniVersion": "1.1.0", "interfaces": links}
	}
	want := []object{
		with(object{"type": "a", "someKey": 1.0}),
		with(object{"type": "b", "capabilities": object{"ports": true}, "runtimeConfig": object{"ports": []any{1.0}}, "prevResult": result("a")}),
		with(object{"type": "c", "prevResult": result("a", "b")}),
	}
	for i, c := range calls {
		var got object
		if err := json.Unmarshal([]byte(strings.SplitN(c, " ", 3)[2]), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("plugin %d (-want +got):\n%s", i, diff)
		}
	}
	var printed object
	if err := json.Unmarshal([]byte(out), &printed); err != nil || !cmp.Equal(printed, result("a", "b", "c")) {
		t.Errorf("printed %s (%v), want the result of the last", out, err)
	}
}

// A plugin from elsewhere may know older versions only. The next gets its result in the list's.
func TestAnOlderNeighbour(t *testing.T) {
	dir := t.TempDir()
	const script = "#!/bin/sh\n" + `echo '{"cniVersion": "0.4.0", "interfaces": [{"name": "old"}], "dns": {}}'`
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var calls []string
	bundle := plugin.Bundle{Name: Plugin(), "a": recorder{calls: &calls}.plugin("a")}
	env := map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0", "CNI_PATH": dir}
	const config = `{"cniVersion":"1.1.0","name":"net","type":"trestle","plugins":[{"type":"old"},{"type":"a"}]}`
	var stdout, stderr bytes.Buffer
	status := bundle.Run(t.Context(), Name, env, plugin.Streams{In: strings.NewReader(config), Out: &stdout, Err: &stderr})
	result, err := plugin.ParseResult(stdout.Bytes(), "1.1.0")
	if status != 0 || err != nil || len(result.Interfaces) != 2 {
		t.Errorf("status %d, %v: %s", status, err, stdout.String())
	}
}

// A DEL of a list that no ADD took succeeds, and what makes interfaces is asked to undo whatever there is. A list that names it, or something of
// somebody else's, is taken by its word.
func TestDelOfWhatIsLeft(t *testing.T) {
	const head = `{"cniVersion":"1.1.0","name":"net","type":"trestle"`
	for config, want := range map[string]string{
		head + `}`:                                             "DEL b",
		head + `,"plugins":[]}`:                                "DEL b",
		head + `,"plugins":"x"}`:                               "DEL b",
		head + `,"plugins":[{"type":"../a"}]}`:                 "DEL b",
		head + `,"plugins":[{"type":"a"}]}`:                    "DEL a, DEL b",
		head + `,"plugins":[{"type":"b"}]}`:                    "DEL b",
		head + `,"plugins":[{"type":"strange"}]}`:              "",
		head + `,"plugins":[{"type":"b"},{"type":"strange"}]}`: "DEL b",
	} {
		status, out, calls := call(t, "DEL", config, "")
		if got := heads(calls); status != 0 || got != want {
			t.Errorf("%s: status %d %s, called %q, want %q", config, status, out, got, want)
		}
	}
	status, out, _ := call(t, "DEL", head+`,"prevResult":{"cniVersion":"1.1.0"},"plugins":[{"type":"strange"}]}`, "")
	if status != 1 || !strings.Contains(out, "strange: not found") {
		t.Errorf("an attachment that strange was part of: status %d, %s", status, out)
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct{ command, config, want string }{
		"no list":            {"ADD", `{"cniVersion":"1.1.0","name":"n"}`, "plugins: null: must be a list"},
		"empty list":         {"ADD", `{"cniVersion":"1.1.0","name":"n","plugins":[]}`, "plugins: []: must be a list"},
		"no type":            {"ADD", `{"cniVersion":"1.1.0","name":"n","plugins":[{}]}`, `plugins[0].type: \"\": must be a plugin's name`},
		"path":               {"ADD", `{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"../a"}]}`, `plugins[0].type: \"../a\": must be`},
		"itself":             {"ADD", `{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"trestle"}]}`, `plugins[0].type: \"trestle\": must be`},
		"capability at ADD":  {"ADD", strings.Replace(three, `"ports":true},`+"\n", `"ports":false},`+"\n", 1), "must have ports, which the plugin b declares"},
		"capability, STATUS": {"STATUS", strings.Replace(three, `"ports":true},`+"\n", `"other":true},`+"\n", 1), "must have ports, which the plugin b declares"},
		"not installed":      {"ADD", `{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"strange"}]}`, "strange: not found in CNI_PATH /none"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, calls := call(t, test.command, test.config, "")
			if status != 1 || !strings.Contains(out, test.want) || len(calls) > 0 {
				t.Errorf("status %d, called %v, said %s; want an error with %s", status, calls, out, test.want)
			}
		})
	}
}
