package plugin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// LinkNameRule is ValidLinkName in words.
const LinkNameRule = "1 to 15 bytes of UTF-8 without / : %, white space or control characters, none of . .. all default"

// ValidLinkName says whether a link may be given that name. The kernel's rule (dev_valid_name in net/core/dev.c) is about bytes, and takes 0xa0 for
// space, in the middle of a letter, too; a % it replaces by a number, or refuses. What cannot be read back as it was written, because a file or a JSON
// text may change it, is no name either, nor are all and default, the settings of every link (sysctl_dev_name_is_allowed in net/ipv4/devinet.c).
func ValidLinkName(name string) bool {
	bad := func(c rune) bool { return c == '%' || unicode.IsControl(c) }
	return possibleLinkName(name) && name != "all" && name != "default" && !strings.Contains(name, "\xa0") && utf8.ValidString(name) && !strings.ContainsFunc(name, bad)
}

// possibleLinkName is the rule of the protocol and of the reference, by which an interface may have been made.
func possibleLinkName(name string) bool {
	bad := func(c rune) bool { return c == '/' || c == ':' || unicode.IsSpace(c) }
	return name != "" && len(name) <= 15 && name != "." && name != ".." && !strings.ContainsFunc(name, bad)
}
