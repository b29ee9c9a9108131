package tool

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

const (
	infoMagic  = "\xff Go buildinf:"
	infoHeader = 32   // bytes of magic and flags before the strings
	infoInline = 2    // flag: strings do follow; Go before 1.18, which cannot compile us, had pointers
	infoStart  = 1024 // bytes that the main module's path is within: it comes before those of all that it needs
)

// mainModule returns the path of the module that an ELF file's Go main package is of, or "". It is debug/buildinfo for Linux: that would bring
// 400 KB of readers for every system's executables and compression into a file that runs for every call. The section headers lead to the build
// information, since a search of the bytes would find it in a file that merely embeds ours, too. They come last: half a file has no module.
func mainModule(file io.ReaderAt) string {
	header := make([]byte, 64)
	if _, err := file.ReadAt(header, 0); err != nil || !bytes.HasPrefix(header, []byte("\x7fELF")) {
		return ""
	}
	var order binary.ByteOrder = binary.LittleEndian
	if header[5] == 2 {
		order = binary.BigEndian
	}
	wide := header[4] == 2 // 64 bits
	table, size, count := int64(order.Uint32(header[32:])), order.Uint16(header[46:]), order.Uint16(header[48:])
	if wide {
		table, size, count = int64(order.Uint64(header[40:])), order.Uint16(header[58:]), order.Uint16(header[60:])
	}
	section, info := make([]byte, 32), make([]byte, infoStart)
	for i := range int64(count) {
		if _, err := file.ReadAt(section, table+i*int64(size)); err != nil {
			return ""
		}
		start := int64(order.Uint32(section[16:]))
		if wide {
			start = int64(order.Uint64(section[24:]))
		}
		n, _ := file.ReadAt(info, start) // fewer at the end of the file, none where the header is nonsense
		if n > infoHeader && string(info[:len(infoMagic)]) == infoMagic && info[len(infoMagic)+1]&infoInline != 0 {
			_, modules := counted(info[infoHeader:n]) // after Go's version
			modules, _ = counted(modules)
			_, main, _ := strings.Cut(string(modules), "\nmod\t")
			path, _, _ := strings.Cut(main, "\t")
			return path
		}
	}
	return ""
}

// counted splits off the string that follows its length, or as much of it as there is.
func counted(b []byte) (text, rest []byte) {
	length, n := binary.Uvarint(b)
	b = b[max(n, 0):]
	length = min(length, uint64(len(b)))
	return b[:length], b[length:]
}
