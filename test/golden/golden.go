// Package golden compares plans with files: what a parser and a planner make of a configuration, printed whole.
package golden

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Case is one file: a txtar archive whose comment says what it shows. Its members are `config`, and where they are needed `args`
// (CNI_ARGS as KEY=VALUE lines), `result` (what the IPAM plugin, or the plugin before, returned) and `want`, which is compared.
type Case struct {
	Request *plugin.Request
	Result  *types100.Result // nil when the case has none
}

// Run reads every testdata/golden/*.txtar and compares what f prints with the member `want`. With update it writes the member instead; then
// read the difference before you believe it.
func Run(t *testing.T, update *bool, f func(*testing.T, Case) string) {
	files, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/golden: %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := f(t, read(t, archive))
			if *update {
				set(archive, "want", got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(member(archive, "want")), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// Update declares the flag -update of a test binary.
func Update() *bool {
	return flag.Bool("update", false, "write the golden files instead of comparing with them")
}

func read(t *testing.T, archive *txtar.Archive) Case {
	t.Helper()
	config := member(archive, "config")
	object, err := keys.Parse(config)
	if err != nil {
		t.Fatal(err)
	}
	version := object.String("cniVersion", plugin.Current)
	c := Case{Request: &plugin.Request{Command: "ADD", ContainerID: "c1", IfName: "eth0", Netns: "/run/netns/c1", Network: "net",
		Version: version, Config: config, Keys: object}}
	c.Request.Args = plugin.Environment(strings.Split(string(member(archive, "args")), "\n"))
	if text := member(archive, "result"); text != nil {
		if c.Result, err = plugin.ParseResult(text, version); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func member(archive *txtar.Archive, name string) []byte {
	for _, file := range archive.Files {
		if file.Name == name {
			return file.Data
		}
	}
	return nil
}

func set(archive *txtar.Archive, name, text string) {
	for i, file := range archive.Files {
		if file.Name == name {
			archive.Files[i].Data = []byte(text)
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
}

// Print writes the plan down, a line a step with every value that is not zero, and the result as JSON.
func Print(p plan.Plan) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "lock %q\n", p.Lock)
	out.WriteString("ground\n" + Steps(p.Ground))
	out.WriteString("links\n" + Steps(p.Steps[:p.Mark]))
	out.WriteString("rest\n" + Steps(p.Steps[p.Mark:]))
	text := []byte("null")
	if p.Result != nil {
		text, _ = json.MarshalIndent(p.Result, "", "  ") // a result always has a JSON form
	}
	fmt.Fprintf(&out, "result %s\n", text)
	return out.String()
}

// Steps writes steps down, a line each.
func Steps(steps []plan.Step) string {
	var out strings.Builder
	for _, step := range steps {
		value := reflect.ValueOf(step)
		fmt.Fprintf(&out, "  %s%s\n", value.Type().Name(), fields(value))
	}
	return out.String()
}

// fields prints the fields of a struct that are not zero; those of an embedded struct are its own.
func fields(value reflect.Value) string {
	var out strings.Builder
	for i := range value.NumField() {
		field, what := value.Field(i), value.Type().Field(i)
		switch {
		case field.IsZero():
		case what.Anonymous && field.Kind() == reflect.Struct:
			out.WriteString(fields(field))
		default:
			fmt.Fprintf(&out, " %s=%+v", what.Name, field.Interface())
		}
	}
	return out.String()
}

// Kinds lists the types of the plan's steps, which must follow from the configuration alone.
func Kinds(p plan.Plan) []string {
	var kinds []string
	for _, step := range append(p.Ground[:len(p.Ground):len(p.Ground)], p.Steps...) {
		kinds = append(kinds, fmt.Sprintf("%T", step))
	}
	return append(kinds, fmt.Sprintf("mark %d", p.Mark))
}
