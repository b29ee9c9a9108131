package journal

import (
	"encoding/hex"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Variable is how a runtime says which trace a call belongs to (W3C Trace Context, section "traceparent"); libcni passes it on since 1.3.1.
const Variable = "TRACEPARENT"

// Trace is the place of a call in its runtime's trace, in hexadecimal.
type Trace struct {
	ID     string `json:"id"`     // 16 bytes, the whole trace
	Parent string `json:"parent"` // 8 bytes, the span that called
	Span   string `json:"span"`   // 8 bytes, this call
}

// join takes the call into the trace that the environment names, and names the call there for the plugins that it calls in turn. What is malformed is
// no trace, as the recommendation has it.
func join(env map[string]string) *Trace {
	parts := strings.Split(env[Variable], "-")
	if len(parts) < 4 || !isHex(parts[0], 2) || parts[0] == "ff" || !isHex(parts[1], 32) || !isHex(parts[2], 16) || !isHex(parts[3], 2) {
		return nil
	}
	if len(parts) > 4 && parts[0] == "00" || strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return nil
	}
	// Not by unix.Getrandom, which prepares itself for many: the first time that takes as long as to write the line.
	var id [8]byte
	if n, _, _ := unix.RawSyscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(&id)), uintptr(len(id)), 0); int(n) != len(id) {
		return nil
	}
	t := &Trace{ID: parts[1], Parent: parts[2], Span: hex.EncodeToString(id[:])}
	env[Variable] = "00-" + t.ID + "-" + t.Span + "-" + parts[3]
	return t
}

// Valid says whether the ids have the length and the digits of ids.
func (t *Trace) Valid() bool { return isHex(t.ID, 32) && isHex(t.Parent, 16) && isHex(t.Span, 16) }

func isHex(text string, digits int) bool {
	return len(text) == digits && strings.Trim(text, "0123456789abcdef") == ""
}
