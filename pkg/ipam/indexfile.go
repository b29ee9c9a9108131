package ipam

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/checksum"
)

// The index stands in <data directory>/.trestle/<network>: a page with the header, then the table. The header's words are 8 bytes
// each, the little end first:
//
//	0      "trestle1"
//	1, 2   boot id
//	3      state: 1 at rest; 0 while a command changes the directory, and so after a crash
//	4..9   the directory as the last command left it: device, inode, seconds and nanoseconds of its mtime and its ctime
//	10     slots of the table, a power of two
//	11     slots in use
//	12, 13 the queue of cooling addresses: the number of the first, and of the next to come
//	14     CRC-32 of the words before
//
// It is believed when it is of this boot, at rest, whole, and the directory has not changed since. So that every change of another
// program shows, however short after ours and however coarse the clock of the file system, the last thing that a command does is to
// date the directory a second back: whoever changes it later gives it another date. (Git calls the problem racy; its answer, not to
// believe what is too fresh, would cost a scan in every burst of commands.)
const (
	headerSize  = 4096
	headerWords = 15
	magic       = 0x31656c7473657274 // "trestle1"
	atRest      = 1
)

type header [headerWords]uint64

func (h header) encode() []byte {
	h[14] = 0
	out := make([]byte, 0, 8*headerWords)
	for _, word := range h[:14] {
		out = binary.LittleEndian.AppendUint64(out, word)
	}
	return binary.LittleEndian.AppendUint64(out, uint64(checksum.Of(out)))
}

func readHeader(file *os.File) (h header, ok bool) {
	var raw [8 * headerWords]byte
	if _, err := file.ReadAt(raw[:], 0); err != nil {
		return h, false
	}
	for i := range h {
		h[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	info, err := file.Stat()
	whole := h[0] == magic && h[14] == uint64(checksum.Of(raw[:8*14])) && h[10]&(h[10]-1) == 0 && h[10] >= minSlots && h[10] <= maxSlots
	return h, whole && err == nil && info.Size() == headerSize+int64(h[10])*slotSize
}

const (
	minSlots = 1 << 10
	maxSlots = 1 << 32
)

// stamp returns what a change of the directory changes.
func stamp(dir *os.File) (words [6]uint64, err error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &s); err != nil {
		return words, err
	}
	return [6]uint64{uint64(s.Dev), s.Ino, uint64(s.Mtim.Sec), uint64(s.Mtim.Nsec), uint64(s.Ctim.Sec), uint64(s.Ctim.Nsec)}, nil
}

func (s *Store) bootWords() (a, b uint64) {
	return binary.LittleEndian.Uint64(s.boot[:]), binary.LittleEndian.Uint64(s.boot[8:])
}

// openIndex returns the index's file, and the index itself where it is to be believed.
func (s *Store) openIndex() (*os.File, *index) {
	aside, err := s.aside()
	if err != nil {
		return nil, nil
	}
	defer aside.Close()
	file, err := openOwn(aside, filepath.Base(s.path))
	if err != nil {
		return nil, nil
	}
	h, whole := readHeader(file)
	now, err := stamp(s.dir)
	a, b := s.bootWords()
	if whole && err == nil && h[3] == atRest && h[1] == a && h[2] == b && s.boot != unknownBoot && [6]uint64(h[4:10]) == now {
		return file, &index{table: table{medium: file, offset: headerSize, slots: h[10], used: h[11]}, head: h[12], tail: h[13]}
	}
	return file, nil
}

// header describes the index as it is now.
func (s *Store) header(x *index, state uint64, at [6]uint64) header {
	a, b := s.bootWords()
	h := header{magic, a, b, state, 10: x.slots, 11: x.used, 12: x.head, 13: x.tail}
	copy(h[4:10], at[:])
	return h
}

// begin marks the index as being changed. Whoever finds it so after a crash makes it anew.
func (s *Store) begin() {
	if s.changing || s.indexFile == nil || s.known == nil {
		return
	}
	s.changing = true
	if _, err := s.indexFile.WriteAt(s.header(s.known, 0, [6]uint64{}).encode(), 0); err != nil {
		s.known.err = err
	}
}

// commit puts the index to rest. Where it cannot, the index stays as begin left it.
func (s *Store) commit() {
	if !s.changing || s.known == nil || s.known.err != nil {
		return
	}
	past := unix.NsecToTimespec(time.Now().Add(-time.Second).UnixNano())
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, past}
	if err := unix.UtimesNanoAt(int(s.dir.Fd()), ".", times, 0); err != nil {
		return
	}
	if at, err := stamp(s.dir); err == nil {
		_, _ = s.indexFile.WriteAt(s.header(s.known, atRest, at).encode(), 0)
	}
}

// save writes an index that was built in memory to the file, and goes on in the file.
func (s *Store) save(x *index) {
	image := x.medium.(memory)
	s.changing = true
	empty := make([]byte, headerSize)
	err := s.indexFile.Truncate(0)
	if err == nil {
		err = s.indexFile.Truncate(headerSize + int64(len(image)))
	}
	for at := 0; at < len(image) && err == nil; at += headerSize {
		if page := image[at:min(at+headerSize, len(image))]; string(page) != string(empty[:len(page)]) { // leave holes
			_, err = s.indexFile.WriteAt(page, int64(headerSize+at))
		}
	}
	if err != nil {
		s.closeIndex()
		return
	}
	x.medium, x.offset = s.indexFile, headerSize
}
