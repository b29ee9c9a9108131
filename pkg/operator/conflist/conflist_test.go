package conflist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/google/go-cmp/cmp"
)

func TestComplaints(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"right", `{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}]}`, ""},
		{"a comma too many", "{\n  \"name\": \"n\",\n  \"plugins\": [{\"type\": \"x\"},]\n}", "f.conflist:3:29: invalid character ']' looking for beginning of value"},
		{"torn", "{\n  \"name\": \"n\",", "f.conflist:2:15: it ends in the middle"},
		{"empty", "", "f.conflist:1:1: it ends in the middle"},
		{"two", "{\"name\": \"n\", \"type\": \"x\"}\n{}", "f.conflist:2:1: something follows the end of the configuration"},
		{"no object", "[]", "f.conflist:1:1: a configuration is an object, not an array"},
		{"several", "{\n\"name\": \"a b\",\n\"cniVersion\": \"9.9.9\",\n\"disableCheck\": 1,\n\"plugins\": [\n 7,\n {\"Type\": \"x/y\"},\n {\"type\": false}]}",
			`f.conflist:2:9: name: "a b": must begin with a letter or digit, and have letters, digits, _ . - alone
f.conflist:3:15: cniVersion: "9.9.9": runtimes know 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
f.conflist:4:17: disableCheck: must be true or false
f.conflist:6:2: plugins[0]: must be an object, not a number
f.conflist:7:11: type: "x/y": must be a file's name, without a path
f.conflist:8:11: type: must be a string, not a boolean`},
		{"nothing", "{}", "f.conflist:1:1: name: missing\nf.conflist:1:1: type: missing"},
		{"an empty list", `{"name": "n", "plugins": []}`, "f.conflist:1:26: plugins: no plugin in the list"},
		{"deep", strings.Repeat("[", 200), "f.conflist:1:102: values nested more than 100 deep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range Parse("f.conflist", []byte(test.text)).Complaints {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAt finds the place of a complaint of package keys.
func TestAt(t *testing.T) {
	f := Parse("f", []byte("{\"name\": \"n\", \"type\": \"x\",\n\"ipam\": {\"ranges\": [[{\"subnet\":\n \"bad\"}]]}}"))
	if n := f.Root.At("ipam.ranges[0][0].subnet"); n.Line != 3 || n.Column != 2 || n.Text != "bad" {
		t.Errorf("found %+v", n)
	}
	if n := f.Root.At("ipam.ranges[7].subnet"); n.Line != 2 || n.Kind != Array {
		t.Errorf("of what is not there: %+v", n)
	}
}

// TestLikeLibcni has libcni read our configurations, and what it refuses: neither is content where the other is not.
func TestLikeLibcni(t *testing.T) {
	dir := t.TempDir()
	texts := []string{`{"name": "n"}`, `{"name": 1, "plugins": []}`, `{"name": "n", "plugins": [{}]}`, `{"name": "n", "plugins": [{"type": "x"}]}`,
		`{"name": "n", "cniVersion": 3, "plugins": [{"type": "x"}]}`, `{"name": "n", "plugins": {"type": "x"}}`, `{`, `{"name": "n", "plugins": [1]}`,
		`{"name": "n", "disableCheck": "maybe", "plugins": [{"type": "x"}]}`, `{"name": "n", "type": "bridge"}`,
		`{"name": "n", "type": "trestle", "plugins": [{"type": "x"}]}`, `{"name": "n", "plugins": [{"type": "x", "capabilities": {"a": "true"}}]}`,
		`{"name": "n", "plugins": [{"type": "x", "capabilities": ["a"]}]}`, `{"name": "n", "plugins": [{"type": "x", "capabilities": null}]}`,
		`{"name": "n", "plugins": [{"type": "x", "capabilities": {"a": null}}]}`}
	paths, _ := filepath.Glob("../../../conf/*.conflist")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		path := filepath.Join(dir, "one.conflist")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files, err := Load(dir)
		if err != nil || len(files) != 1 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		_, theirs := libcni.NetworkConfFromFile(path)
		if (theirs == nil) != (len(files[0].Complaints) == 0) {
			t.Errorf("%s\nlibcni: %v\nours: %v", text, theirs, files[0].Complaints)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name": "n", "plugins": [{"type": "x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range Parse("f", data).Complaints {
			if c.Line < 1 || c.Column < 1 {
				t.Errorf("%s", c)
			}
		}
	})
}
