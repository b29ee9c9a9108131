package hostlocal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pool is a network whose ranges are in a file.
type pool struct {
	*testing.T
	dir, file, more string
}

func newPool(t *testing.T) *pool {
	return &pool{T: t, dir: t.TempDir(), file: filepath.Join(t.TempDir(), "net.json")}
}

// write puts the file in place as its writers do: by rename.
func (p *pool) write(text string) {
	must(p, os.WriteFile(p.file+".new", []byte(text), 0o644))
	must(p, os.Rename(p.file+".new", p.file))
}

func (p *pool) call(command, id string) call {
	return call{command: command, id: id, dir: p.dir, config: network("1.1.0", `"rangesFrom": "`+p.file+`"`+p.more)}
}

const (
	twoBlocks = `{"network": "net", "ranges": [[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/30"}], [{"subnet": "fd00::/80"}]], "epochs": {"a": 7}}`
	lastBlock = `{"ranges": [[{"subnet": "10.2.0.0/30"}], [{"subnet": "fd00::/80"}]]}`
	noBlock   = `{"ranges": []}`
)

// A block of a host comes, fills, goes: an ADD hands out of what the file has then, and what is held is let go whatever it has.
func TestBlocksComeAndGo(t *testing.T) {
	p := newPool(t)
	add := func(id string, code uint, want string) {
		t.Helper()
		if a := p.call("ADD", id).run(t); a.code(t) != code || !strings.Contains(a.addrs(t), want) {
			t.Errorf("ADD of %s: code %d %q, want %d %q", id, a.code(t), a.addrs(t), code, want)
		}
	}
	status := func(code uint) {
		t.Helper()
		if a := p.call("STATUS", "").run(t); a.code(t) != code {
			t.Errorf("STATUS: %s, want code %d", a.out, code)
		}
	}
	add("early", 11, "no such file")
	status(50)
	p.write(noBlock)
	add("early", 11, "no range: this host has no block")
	status(50)
	p.write(twoBlocks)
	status(0)
	add("a", 0, "10.1.0.2 fd00::2")
	add("b", 0, "10.2.0.2 fd00::3")
	add("c", 11, "no address is free")
	status(50)
	p.write(`{"ranges": [[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/30"}, {"subnet": "10.3.0.0/29"}], [{"subnet": "fd00::/80"}]]}`)
	add("c", 0, "10.3.0.2")
	p.write(lastBlock)
	for _, id := range []string{"a", "b"} {
		if a := p.call("CHECK", id).run(t); a.status != 0 {
			t.Errorf("CHECK of %s: %s", id, a.out)
		}
	}
	for _, content := range []string{lastBlock, noBlock, `{"ranges`} {
		p.write(content)
		for _, id := range []string{"a", "b", "c"} {
			if a := p.call("DEL", id).run(t); a.status != 0 {
				t.Errorf("DEL of %s: %s", id, a.out)
			}
		}
	}
	if left := reservations(t, p.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A GC needs no ranges, and a CHECK goes by the reservations where the file is gone.
func TestRangesAreGone(t *testing.T) {
	p := newPool(t)
	p.write(twoBlocks)
	for _, id := range []string{"a", "b"} {
		if a := p.call("ADD", id).run(t); a.status != 0 {
			t.Fatal(a.out)
		}
	}
	must(t, os.Remove(p.file))
	if a := p.call("CHECK", "a").run(t); a.status != 0 {
		t.Errorf("CHECK: %s", a.out)
	}
	gc := p.call("GC", "")
	gc.config = strings.Replace(gc.config, `"name"`, `"cni.dev/valid-attachments": [{"containerID": "b", "ifname": "eth0"}], "name"`, 1)
	if a := gc.run(t); a.status != 0 {
		t.Errorf("GC: %s", a.out)
	}
	if diff := cmp.Diff([]string{"/net/10.2.0.2", "/net/fd00::3"}, reservations(t, p.dir)); diff != "" {
		t.Errorf("after a GC with b (-want +got):\n%s", diff)
	}
	if a := p.call("CHECK", "a").run(t); a.code(t) != 102 {
		t.Errorf("CHECK of what a GC took: %s", a.out)
	}
}

// The ranges are those that the file has once the lock is had: an ADD that waited for it does not go by what it saw before.
func TestRangesAreReadUnderTheLock(t *testing.T) {
	p := newPool(t)
	p.write(twoBlocks)
	if a := p.call("ADD", "first").run(t); a.status != 0 {
		t.Fatal(a.out)
	}
	path := filepath.Join(p.dir, "net", "lock")
	lock, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	must(t, err)
	defer unix.Close(watch)
	_, err = unix.InotifyAddWatch(watch, path, unix.IN_OPEN)
	must(t, err)

	self, err := os.Executable()
	must(t, err)
	done := make(chan answer)
	go func() { done <- p.call("ADD", "second").exec(t, self) }()
	_, err = unix.Read(watch, make([]byte, 4096)) // the ADD has come as far as the lock
	must(t, err)
	p.write(lastBlock)
	must(t, lock.Close())
	if a := <-done; a.addrs(t) != "10.2.0.2 fd00::3" {
		t.Errorf("ADD after the file shrank: %s", a.addrs(t))
	}
}

// What cannot be is refused, with the file's name, and nothing is reserved.
func TestRangesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file, beside string
		code         uint
		message      string
	}{
		"torn":            {`{"ranges": [[{"subnet"`, "", 7, "net.json: configuration: unexpected end"},
		"not an object":   {`[]`, "", 7, "must be an object"},
		"another network": {`{"network": "other", "ranges": [[{"subnet": "10.1.0.0/30"}]]}`, "", 7, `network: "other": must be net`},
		"overlap":         {`{"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.128/25"}]]}`, "", 7, "must not overlap"},
		"host bits":       {`{"ranges": [[{"subnet": "10.1.0.1/24"}]]}`, "", 7, "must have no host bits set"},
		"both families":   {`{"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}`, "", 7, "must be of one family"},
		"an empty set":    {`{"ranges": [[]]}`, "", 7, "must be a list with a range"},
		"empty":           {``, "", 7, "unexpected end"},
		"asked elsewhere": {twoBlocks, `}, "args": {"cni": {"ips": ["10.9.0.9"]}`, 7, "10.9.0.9: in no range set"},
		"subnet beside":   {twoBlocks, `, "subnet": "10.9.0.0/24"`, 7, "ipam.subnet: "},
		"a bound beside":  {twoBlocks, `, "rangeStart": "10.1.0.2"`, 7, "ipam.rangeStart: \"10.1.0.2\": must not stand beside ipam.rangesFrom"},
		"an end beside":   {twoBlocks, `, "rangeEnd": "10.1.0.2"`, 7, "ipam.rangeEnd: "},
		"gateway beside":  {twoBlocks, `, "gateway": "10.1.0.1"`, 7, "ipam.gateway: "},
		"ranges beside":   {twoBlocks, `, "ranges": [[{"subnet": "10.9.0.0/24"}]]`, 7, "must not stand beside ipam.rangesFrom"},
		"runtime's":       {twoBlocks, `}, "runtimeConfig": {"ipRanges": [[{"subnet": "10.9.0.0/24"}]]`, 7, "runtimeConfig.ipRanges: "},
	} {
		p := newPool(t)
		p.more = c.beside
		p.write(c.file)
		a := p.call("ADD", "a").run(t)
		if a.code(t) != c.code || !strings.Contains(a.addrs(t), c.message) {
			t.Errorf("%s: code %d %q, want %d %q", name, a.code(t), a.addrs(t), c.code, c.message)
		}
		if left := reservations(t, p.dir); len(left) > 0 {
			t.Errorf("%s: reserved %v", name, left)
		}
	}
}

// Where there is no file to read there is nobody to wait for.
func TestRangesFromWhatIsNoFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a loop":      func(path string) error { return os.Symlink(path, path) },
	} {
		p := newPool(t)
		if err := make(p.file); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		if a := p.call("ADD", "a").run(t); a.code(t) != 5 || !strings.Contains(a.addrs(t), p.file) {
			t.Errorf("%s: code %d %q", name, a.code(t), a.addrs(t))
		}
	}
	p := newPool(t)
	p.file = "blocks/net.json"
	if a := p.call("ADD", "a").run(t); a.code(t) != 7 || !strings.Contains(a.addrs(t), "must be an absolute path") {
		t.Errorf("a path in the runtime's directory: code %d %q", a.code(t), a.addrs(t))
	}
}
