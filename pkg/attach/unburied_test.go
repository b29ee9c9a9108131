package attach

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestUnburied wants the address of whoever could not be buried kept: his rules may still be there, or he may be at work. Where it is not known
// who that is, the address plugin gets no list, and takes only from the provably dead.
func TestUnburied(t *testing.T) {
	lives, dead := owner.Of("net", "c1", "eth0"), owner.Of("net", "c2", "eth0")
	cut, _ := owner.Parse(owner.Of("net", "c3", "eth0").Tag(owner.MinRoom + 2))
	valid := `,"cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}]`
	for name, c := range map[string]struct {
		config  string
		holders []firewall.Holder
		harm    func(*bench)
		want    string
	}{
		"undo fails": {valid, []firewall.Holder{{Owner: lives}, {Owner: dead}}, func(b *bench) { b.fails["undo address"] = errBroken },
			`[{"containerID":"c1","ifname":"eth0"},{"containerID":"c2","ifname":"eth0"}]`},
		"an empty list": {`,"cni.dev/attachments":[]`, []firewall.Holder{{Owner: lives}, {Owner: dead}},
			func(b *bench) { b.fails["undo link"] = errBroken }, `[{"containerID":"c1","ifname":"eth0"},{"containerID":"c2","ifname":"eth0"}]`},
		"no locks": {valid, []firewall.Holder{{Owner: lives}, {Owner: dead}}, readOnly,
			`[{"containerID":"c1","ifname":"eth0"},{"containerID":"c2","ifname":"eth0"}]`},
		"names cut short":  {valid, []firewall.Holder{{Owner: lives}, {Owner: cut}}, func(b *bench) { b.fails["undo link"] = errBroken }, `none`},
		"no ledger":        {valid, nil, func(b *bench) { b.fails["owners link"] = errBroken }, `none`},
		"nobody is buried": {valid, []firewall.Holder{{Owner: lives}}, func(*bench) {}, `[{"containerID":"c1","ifname":"eth0"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(b *bench) {
				must(t, os.WriteFile(filepath.Join(b.dir, "host-local"), []byte("#!/bin/sh\ncat > "+filepath.Join(b.dir, "config")+"\n"), 0o700))
				b.holders = c.holders
				c.harm(b)
				if _, err := b.call(ctx, "GC", early+c.config); (err == nil) != (name == "nobody is buried") {
					b.Errorf("GC: %v", err)
				}
				if got := b.validIn("config"); got != c.want {
					b.Errorf("the address plugin got the list %s, want %s", got, c.want)
				}
			})
		})
	}
}

// readOnly makes the directory of the locks one that cannot be written.
func readOnly(b *bench) {
	must(b.T, os.MkdirAll("/run/cni", 0o755))
	must(b.T, unix.Mount("none", "/run/cni", "tmpfs", unix.MS_RDONLY, ""))
}

// validIn returns the valid attachments in a configuration that a delegate wrote to the file.
func (b *bench) validIn(file string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, file))
	must(b.T, err)
	var config map[string]json.RawMessage
	must(b.T, json.Unmarshal(text, &config))
	if _, old := config["cni.dev/attachments"]; old {
		b.Errorf("two lists: %s", text)
	}
	if list, ok := config["cni.dev/valid-attachments"]; ok {
		return string(list)
	}
	return "none"
}

var must = nstest.Must
