package ipam

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Holder is who holds an address: one interface of one container. Files of very old versions of the reference name no interface;
// then IfName is empty and the address belongs to the container whatever the interface. The zero Holder is unknown.
type Holder struct {
	ContainerID string
	IfName      string
}

// Legacy says whether the holder comes from a file that names no interface.
func (h Holder) Legacy() bool { return h.ContainerID != "" && h.IfName == "" }

// Unknown says whether an address is held by something that is not a reservation, such as a directory with an address's name.
func (h Holder) Unknown() bool { return h.ContainerID == "" }

func (h Holder) String() string {
	switch {
	case h.Unknown():
		return "a file that is no reservation"
	case h.Legacy():
		return h.ContainerID
	default:
		return h.ContainerID + "/" + h.IfName
	}
}

// Reservation is one address and who holds it.
type Reservation struct {
	Addr   netip.Addr
	Holder Holder
}

// separator stands between container ID and interface name in a file. It is carriage return and line feed on every system.
const separator = "\r\n"

// encode returns the content of the holder's files, to the byte what the reference writes.
func (h Holder) encode() string {
	return strings.TrimSpace(h.ContainerID) + separator + h.IfName
}

// parseHolder reads the content of a reservation file. It says false to one that names nobody: empty, or torn by a crash. White
// space around the content is tolerated, as in the reference.
func parseHolder(content []byte) (Holder, bool) {
	text := strings.TrimSpace(string(content))
	id, ifName, found := strings.Cut(text, separator)
	if !isWord(id) || found && !isLink(ifName) {
		return Holder{}, false
	}
	return Holder{ContainerID: id, IfName: ifName}, true
}

// isWord says whether the text could name a container: not empty, and without the control characters and the zeros that a file
// system leaves after a power failure. It is wider than the rules for names of today, since older runtimes had none, and a
// person's note in a file is to keep the address, too.
func isWord(text string) bool {
	return text != "" && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// isLink says whether the text could name an interface. The kernel and the reference take any byte but zeros, white space, / and :, so what looks torn
// may be a living container's.
func isLink(text string) bool { return text != "" && !strings.ContainsAny(text, "\x00\r\n") }

// readable returns an error where the holder could not be found again by what its file would say.
func (h Holder) readable() error {
	content := h.encode()
	if back, ok := parseHolder([]byte(content)); ok && back == h && len(content) < fileRoom {
		return nil
	}
	return fault.New(fault.Environment, "use a shorter container ID, and names without white space", "%.100q: could not be read back from a reservation", h)
}

// parseName returns the address that a file of a network's directory stands for. Only the reference's spelling of an address is
// a reservation; every other name is somebody else's file.
func parseName(name string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(name)
	if err != nil || addr.Zone() != "" || addr.Is4In6() || addr.String() != name {
		return netip.Addr{}, false
	}
	return addr, true
}
