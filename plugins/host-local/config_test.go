package hostlocal

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Each file of testdata/config has one configuration, and after a line of three dashes what becomes of it.
func TestConfig(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.txt")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("testdata/config is empty")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		config, want, ok := strings.Cut(string(content), "\n---\n")
		got := read(t, config)
		if os.Getenv("UPDATE") != "" {
			must(t, os.WriteFile(file, []byte(config+"\n---\n"+got), 0o644))
		} else if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// read prints what parse makes of a configuration, whose member CNI_ARGS.IP stands for the variable.
func read(t *testing.T, text string) string {
	t.Helper()
	object, err := keys.Parse([]byte(text))
	must(t, err)
	r := &plugin.Request{Command: "ADD", Keys: object, Network: "net", Version: object.String("cniVersion", "1.1.0"),
		Args: map[string]string{"IP": object.Object("CNI_ARGS").String("IP", "")}}
	c, err := parse(r)
	if err != nil {
		return strings.ReplaceAll(err.Error(), "; ", "\n") + "\n"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "dataDir %s\n", c.dataDir)
	for i, set := range c.sets {
		fmt.Fprintf(&out, "set %d", i)
		for _, one := range set {
			fmt.Fprintf(&out, " %s of %s gateway %s", one, one.Subnet, one.Gateway)
		}
		if c.wanted[i].IsValid() {
			fmt.Fprintf(&out, ", wanted %s", c.wanted[i])
		}
		fmt.Fprintln(&out)
	}
	for _, route := range c.routes {
		text, err := json.Marshal(route)
		must(t, err)
		fmt.Fprintf(&out, "route %s\n", text)
	}
	if c.resolvConf != "" {
		fmt.Fprintf(&out, "resolvConf %s\n", c.resolvConf)
	}
	if c.fullIsDown {
		fmt.Fprintln(&out, "a full set is an error of STATUS")
	}
	return out.String()
}

func TestResolvConf(t *testing.T) {
	const text = `
# nameserver 192.0.2.9
; search no
nameserver 192.0.2.1
nameserver   fd00::53  trailing
domain first.example
domain last.example
search a.example b.example
search c.example # not a comment
options ndots:5 rotate
options edns0
nameserver
sortlist 10.0.0.0
`
	dns, err := parseResolvConf(strings.NewReader(text))
	must(t, err)
	got, err := json.Marshal(dns)
	must(t, err)
	want := `{"nameservers":["192.0.2.1","fd00::53"],"domain":"last.example",` +
		`"search":["a.example","b.example","c.example","#","not","a","comment"],"options":["ndots:5","rotate","edns0"]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := parseResolvConf(strings.NewReader("search " + strings.Repeat("x", 1<<16))); err == nil {
		t.Error("a line of 64 KiB was accepted")
	}
}
