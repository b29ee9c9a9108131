package condition

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

const known = "not known here: interface, source, destination and mark are"

// iptables reads one match: [!] -i, -s, -d, or -m mark [!] --mark.
func (r *reader) iptables() []firewall.Condition {
	not := r.have("!")
	word := r.next()
	switch word {
	case "-i", "--in-interface":
		return []firewall.Condition{{Not: not, Link: r.link(r.next(), "")}}
	case "-s", "--source", "--src":
		return each(r.prefixes(), func(p netip.Prefix) firewall.Condition { return firewall.Condition{Not: not, Source: p} })
	case "-d", "--destination", "--dst":
		return each(r.prefixes(), func(p netip.Prefix) firewall.Condition { return firewall.Condition{Not: not, Destination: p} })
	case "-m", "--match":
		if module := r.next(); module != "mark" {
			r.reject(module, known)
		}
		not = r.have("!")
		if word = r.next(); word != "--mark" {
			r.reject(word, "must be --mark")
		}
		value, mask, masked := strings.Cut(r.next(), "/")
		mark := firewall.Mark{Value: r.number(value), Mask: math.MaxUint32}
		if masked {
			mark.Mask = r.number(mask)
		}
		return []firewall.Condition{{Not: not, Mark: r.mark(mark)}}
	}
	r.reject(word, known)
	return nil
}

// nft reads one expression: ip saddr, ip daddr, iifname, meta mark.
func (r *reader) nft() []firewall.Condition {
	r.have("meta")
	switch word := r.next(); {
	case word == "iifname" || word == "iif":
		not := r.compared()
		return each(r.set(), func(name string) firewall.Condition {
			return firewall.Condition{Not: not, Link: r.link(name, "*")}
		})
	case word == "mark":
		return r.nftMark()
	case word == map[bool]string{true: "ip", false: "ip6"}[r.is4]:
		field := r.next()
		if field != "saddr" && field != "daddr" {
			r.reject(field, "must be saddr or daddr")
		}
		not := r.compared()
		return each(r.set(), func(text string) firewall.Condition {
			if field == "saddr" {
				return firewall.Condition{Not: not, Source: r.prefix(text)}
			}
			return firewall.Condition{Not: not, Destination: r.prefix(text)}
		})
	default:
		r.reject(word, known)
	}
	return nil
}

func (r *reader) nftMark() []firewall.Condition {
	mark := firewall.Mark{Mask: math.MaxUint32}
	if r.have("&") || r.have("and") {
		mark.Mask = r.number(r.next())
	}
	not := r.compared()
	mark.Value = r.number(r.next())
	return []firewall.Condition{{Not: not, Mark: r.mark(mark)}}
}

// mark refuses one that no packet, or every packet, has.
func (r *reader) mark(m firewall.Mark) firewall.Mark {
	if r.err == nil && (m.Mask == 0 || m.Value&^m.Mask != 0) {
		r.reject("mark", "the value must lie within the mask, and the mask not be 0")
	}
	return m
}

// compared reads the operator, which may be left out where it is ==.
func (r *reader) compared() (not bool) {
	if r.have("!=") {
		return true
	}
	r.have("==")
	return false
}

// set reads one value, or several in braces.
func (r *reader) set() (list []string) {
	if !r.have("{") {
		return []string{r.next()}
	}
	for {
		list = append(list, r.next())
		switch {
		case r.have("}"):
			return list
		case !r.have(",") || r.err != nil:
			r.reject("{", "must end with }")
			return list
		}
	}
}

// each turns values into conditions. Of a negated one, all hold together; else one does.
func each[T any](list []T, of func(T) firewall.Condition) (conditions []firewall.Condition) {
	for _, v := range list {
		conditions = append(conditions, of(v))
	}
	return slices.Clip(conditions)
}
