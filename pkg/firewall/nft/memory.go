package nft

import (
	"bytes"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/checksum"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// memory is a file that says at which generation of which network namespace the constant part was last seen whole. To see that takes
// two dozen requests; to ask for the generation takes one.
//
// It is not believed but compared: nothing constant can change without a transaction, and each raises the generation. A transaction of ours is
// only taken at the generation that we looked at, and raises it by one, so what was whole before is whole at the next. Whoever else commits
// something makes the file say nothing, until the next ADD has looked again. A namespace is known by its cookie, which no other has until the
// next boot, and the boot by its name; a file of another version, or one that was torn, is none. Only after four thousand million
// transactions that nobody of us saw would a number come back.
type memory struct {
	path string // empty: nothing is remembered
	ward string // the same of the table for frames alone, which others than claims rely on
	// The same of the tables that the plugin firewall needs, and of what others have at the hook forward.
	forward, apart, others string

	id string // of the boot and the namespace; empty until it is needed
}

// seen is the file's text for a generation.
func (f *Filter) seen(gen uint32) []byte {
	text := fmt.Appendf(nil, "v%d %s generation %d whole", version, f.memory.id, gen)
	return fmt.Appendf(text, " %08x\n", checksum.Of(text)) // a reader may see half of one text and half of another
}

// known says whether the constant part is known to be whole at the generation.
func (f *Filter) known(gen uint32) bool { return f.knownBy(f.memory.path, gen) }

func (f *Filter) knownBy(path string, gen uint32) bool {
	if !f.identify() {
		return false
	}
	text, err := procfile.Read(path)
	return err == nil && bytes.Equal(text, f.seen(gen))
}

// note remembers that the constant part is whole at the generation. Where that cannot be written, the next ADD looks again.
func (f *Filter) note(gen uint32) { f.noteBy(f.memory.path, gen) }

func (f *Filter) noteBy(path string, gen uint32) {
	if f.left != nil || !f.identify() { // who leaves something as it is has not seen all whole
		return
	}
	file, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(file)
	var stat unix.Stat_t
	if unix.Fstat(file, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Nlink != 1 {
		_ = unix.Unlink(path) // it is somebody else's file by another name, and the next ADD makes one
		return
	}
	text := f.seen(gen)
	if n, err := unix.Pwrite(file, text, 0); err != nil || n < len(text) || unix.Ftruncate(file, int64(len(text))) != nil {
		f.forgetAll()
	}
}

// forgetAll makes the memory say nothing.
func (f *Filter) forgetAll() {
	if f.memory.path != "" {
		for _, path := range f.memory.paths() {
			_ = unix.Unlink(path) // what is not there says nothing either
		}
	}
}

// identify finds out the namespace and the boot, once. Without both nothing is remembered.
func (f *Filter) identify() bool {
	if f.memory.path == "" || f.memory.id != "" {
		return f.memory.path != ""
	}
	cookie, err := f.conn.Namespace()
	boot, failed := procfile.Read("/proc/sys/kernel/random/boot_id")
	if err != nil || failed != nil {
		f.memory.path = ""
		return false
	}
	f.memory.id = fmt.Sprintf("boot %s namespace %d", bytes.TrimSpace(boot), cookie)
	return true
}

// carry notes what a transaction at the generation, which changed nothing constant, has left whole.
func (f *Filter) carry(gen uint32) {
	for _, path := range f.memory.paths() {
		if f.knownBy(path, gen) {
			f.noteBy(path, after(gen))
		}
	}
}

// after is the generation that a transaction at gen makes: the next number that is not 0 (nf_tables_commit in net/netfilter/nf_tables_api.c).
func after(gen uint32) uint32 { return max(gen+1, 1) }

// Remember makes the filter keep what it has seen in a file of the directory, which need not outlive a boot, and queue there.
func (f *Filter) Remember(dir string) *Filter {
	f.run = dir
	in := func(name string) string { return filepath.Join(dir, name+".seen") }
	f.memory = memory{path: in("nftables"), ward: in("frames"), forward: in("forward"), apart: in("apart"), others: in("others")}
	return f
}

func (m memory) paths() []string { return []string{m.path, m.ward, m.forward, m.apart, m.others} }
