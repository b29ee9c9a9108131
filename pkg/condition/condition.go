// Package condition reads conditions of published ports in the words of iptables(8) and of nft(8): the matches that are in use (interface,
// source, destination, mark, and their negation), and no others.
package condition

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Dialect is the program in whose words conditions are written.
type Dialect string

// The dialects.
const (
	IPTables Dialect = "iptables"
	NFT      Dialect = "nftables"
)

// DialectOf tells the dialect as the reference does, by the first character.
func DialectOf(words []string) Dialect {
	if len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.HasPrefix(words[0], "!")) {
		return IPTables
	}
	return NFT
}

// Parse reads the words for packets of one family. Each list that comes back is a way in which all of its conditions may hold together; there
// are several where a list of addresses was given. The error names the word that it could not make sense of.
func Parse(words []string, is4 bool) (ways [][]firewall.Condition, err error) {
	r := &reader{is4: is4, words: split(words)}
	read := r.nft
	if DialectOf(words) == IPTables {
		read = r.iptables
	}
	ways = [][]firewall.Condition{nil}
	for len(r.words) > 0 && r.err == nil {
		ways = times(ways, read())
	}
	return ways, r.err
}

// split separates what is written without spaces, as nft allows, from what stands around it.
func split(words []string) []string {
	text := strings.Join(words, " ")
	for _, sign := range []string{"{", "}", ",", "!=", "=="} {
		text = strings.ReplaceAll(text, sign, " "+sign+" ")
	}
	return strings.Fields(text)
}

// times combines each way with each alternative. What is excluded is excluded altogether, so a negated list is one alternative.
func times(ways [][]firewall.Condition, alternatives []firewall.Condition) (all [][]firewall.Condition) {
	if len(alternatives) > 0 && alternatives[0].Not {
		for _, way := range ways {
			all = append(all, slices.Concat(way, alternatives))
		}
		return all
	}
	for _, way := range ways {
		for _, one := range alternatives {
			all = append(all, append(slices.Clone(way), one))
		}
	}
	return all
}

// reader takes words from the front. After an error it takes no more.
type reader struct {
	is4   bool
	words []string
	err   error
}

// next returns the next word, empty at the end.
func (r *reader) next() string {
	if len(r.words) == 0 || r.err != nil {
		return ""
	}
	word := r.words[0]
	r.words = r.words[1:]
	return word
}

// have takes the next word if it is the one.
func (r *reader) have(word string) bool {
	if len(r.words) > 0 && r.words[0] == word {
		r.words = r.words[1:]
		return true
	}
	return false
}

// reject notes the first error.
func (r *reader) reject(word, rule string) {
	if r.err == nil {
		r.err = fmt.Errorf("%q: %s", word, rule)
	}
}

// prefixes reads addresses or subnets, with commas between them.
func (r *reader) prefixes() (list []netip.Prefix) {
	for {
		list = append(list, r.prefix(r.next()))
		if !r.have(",") {
			return list
		}
	}
}

func (r *reader) prefix(word string) netip.Prefix {
	p, err := netip.ParsePrefix(word)
	if addr, failed := netip.ParseAddr(word); failed == nil {
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil || p.Addr().Zone() != "" || p.Addr().Is4() != r.is4 {
		family := map[bool]string{true: "IPv4", false: "IPv6"}[r.is4]
		r.reject(word, "must be an "+family+" address or subnet")
		return netip.Prefix{}
	}
	return p.Masked()
}

// link reads the name of an interface.
func (r *reader) link(word, rest string) string {
	name := strings.Trim(word, `"`)
	if cut, found := strings.CutSuffix(name, rest); found && rest != "" {
		name = cut + "+"
	}
	const room = 15 // IFNAMSIZ less the final zero
	if name == "" || len(name) > room {
		r.reject(word, "must be the name of an interface")
	}
	return name
}

// number reads 32 bits, decimal or hexadecimal.
func (r *reader) number(word string) uint32 {
	n, err := strconv.ParseUint(word, 0, 32)
	if err != nil {
		r.reject(word, "must be a number of 32 bits")
	}
	return uint32(n)
}
