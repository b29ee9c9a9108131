package condition

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// show writes ways in few letters: ! for not, i s d m for the field.
func show(ways [][]firewall.Condition) string {
	var texts []string
	for _, way := range ways {
		var parts []string
		for _, c := range way {
			text := ""
			switch {
			case c.Link != "":
				text = "i " + c.Link
			case c.Source.IsValid():
				text = "s " + c.Source.String()
			case c.Destination.IsValid():
				text = "d " + c.Destination.String()
			case c.Mark.Mask == math.MaxUint32:
				text = fmt.Sprintf("m %#x", c.Mark.Value)
			default:
				text = fmt.Sprintf("m %#x/%#x", c.Mark.Value, c.Mark.Mask)
			}
			if c.Not {
				text = "!" + text
			}
			parts = append(parts, text)
		}
		texts = append(texts, strings.Join(parts, ", "))
	}
	return strings.Join(texts, " | ")
}

func TestParse(t *testing.T) {
	for words, want := range map[string]string{
		"": "",
		// iptables
		"-s 10.0.0.1":                        "s 10.0.0.1/32",
		"! -s 10.0.0.5/8":                    "!s 10.0.0.0/8",
		"--source 10.0.0.0/8,192.0.2.1":      "s 10.0.0.0/8 | s 192.0.2.1/32",
		"! --src 10.0.0.0/8,192.0.2.1":       "!s 10.0.0.0/8, !s 192.0.2.1/32",
		"-i eth0 ! -d 192.0.2.0/24":          "i eth0, !d 192.0.2.0/24",
		"! -i eth+":                          "!i eth+",
		"-m mark --mark 0x1/0xff":            "m 0x1/0xff",
		"-m mark ! --mark 5":                 "!m 0x5",
		"-s 10.0.0.1,10.0.0.2 --dst 1.1.1.1": "s 10.0.0.1/32, d 1.1.1.1/32 | s 10.0.0.2/32, d 1.1.1.1/32",
		// nft
		"ip saddr 10.0.0.1":                              "s 10.0.0.1/32",
		"ip saddr != 10.0.0.0/8":                         "!s 10.0.0.0/8",
		"ip daddr { 192.0.2.1, 192.0.2.2 }":              "d 192.0.2.1/32 | d 192.0.2.2/32",
		"ip daddr !={192.0.2.1,192.0.2.2} iifname eth0":  "!d 192.0.2.1/32, !d 192.0.2.2/32, i eth0",
		`meta iifname "eth*"`:                            "i eth+",
		"iif != lo":                                      "!i lo",
		"mark 7":                                         "m 0x7",
		"meta mark != 0x7":                               "!m 0x7",
		"mark & 0xf0 == 0x10":                            "m 0x10/0xf0",
		"meta mark and 0xf0 != 0x10 ip saddr == 1.1.1.1": "!m 0x10/0xf0, s 1.1.1.1/32",
	} {
		got, err := Parse(strings.Fields(words), true)
		if err != nil {
			t.Errorf("%s: %v", words, err)
		}
		if diff := cmp.Diff(want, show(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", words, diff)
		}
	}
	got, err := Parse([]string{"ip6 saddr != { fd00::/8, ::1 }"}, false)
	if want := "!s fd00::/8, !s ::1/128"; err != nil || show(got) != want {
		t.Errorf("%s, %v, want %s", show(got), err, want)
	}
}

func TestRefusals(t *testing.T) {
	for words, want := range map[string]string{
		"-o eth0":                       `"-o": ` + known,
		"-m comment --comment x":        `"comment": ` + known,
		"-m mark --set 1":               `"--set": must be --mark`,
		"-m mark --mark x":              `"x": must be a number of 32 bits`,
		"-m mark --mark 5/3":            `"mark": the value must lie within the mask, and the mask not be 0`,
		"-s":                            `"": must be an IPv4 address or subnet`,
		"-s fd00::1":                    `"fd00::1": must be an IPv4 address or subnet`,
		"-s 10.0.0.1,":                  `"": must be an IPv4 address or subnet`,
		"-i":                            `"": must be the name of an interface`,
		"-i interface-too-long":         `"interface-too-long": must be the name of an interface`,
		"! ! -s 10.0.0.1":               `"!": ` + known,
		"tcp sport 80":                  `"tcp": ` + known,
		"ip ttl 1":                      `"ttl": must be saddr or daddr`,
		"ip6 saddr ::1":                 `"ip6": ` + known,
		"ip saddr { 10.0.0.1":           `"{": must end with }`,
		"ip saddr 10.0.0.1-10.0.0.9":    `"10.0.0.1-10.0.0.9": must be an IPv4 address or subnet`,
		"ip saddr 10.0.0.1 -i eth0":     `"-i": ` + known,
		"ip saddr 10.0.0.1; drop":       `"10.0.0.1;": must be an IPv4 address or subnet`,
		"mark & 0 == 0":                 `"mark": the value must lie within the mask, and the mask not be 0`,
		"meta mark 4294967296":          `"4294967296": must be a number of 32 bits`,
		"-s 10.0.0.1 ip saddr 10.0.0.1": `"ip": ` + known,
	} {
		if _, err := Parse(strings.Fields(words), true); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", words, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-s 10.0.0.1 -m mark ! --mark 1/2", true)
	f.Add("ip6 saddr != { fd00::/8, ::1 } iifname \"eth*\"", false)
	f.Fuzz(func(t *testing.T, words string, is4 bool) {
		ways, err := Parse([]string{words}, is4)
		if err == nil && len(ways) == 0 {
			t.Errorf("%q: no way and no error", words)
		}
	})
}
