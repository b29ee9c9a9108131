package iptables

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/owner"
)

func TestWords(t *testing.T) {
	for rule, want := range map[string]phrase{
		``:                                   nil,
		`-j X`:                               {"-j", "X"},
		`--comment "a \"b\" 'c' \\" -j X`:    {"--comment", `a "b" 'c' \`, "-j", "X"},
		`--comment "" -j X`:                  {"--comment", "", "-j", "X"},
		`! -s 10.0.0.0/8 --comment "a  b" `:  {"!", "-s", "10.0.0.0/8", "--comment", "a  b"},
		`--comment "not closed`:              {"--comment", "not closed"},
		`-m multiport --dports 1,2 -j "A B"`: {"-m", "multiport", "--dports", "1,2", "-j", "A B"},
	} {
		if diff := cmp.Diff(want, words(rule)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule, diff)
		}
	}
	for _, word := range []string{"", "plain", "10.0.0.1/8", `"`, `a\"b`, "it's", "$(x)", "!"} {
		if got := words("x " + quote(word) + " y"); len(got) != 3 || got[1] != word {
			t.Errorf("quoted %q reads as %q", word, got)
		}
	}
}

func TestValue(t *testing.T) {
	const rule = `! -s 10.0.0.0/8 -d 10.1.0.0/16 -m comment --comment "-j Y" -j X`
	for option, want := range map[string]string{"-s": "", "-d": "10.1.0.0/16", "-j": "X", "--comment": "-j Y", "-i": "", "X": ""} {
		if got := value(rule, option); got != want {
			t.Errorf("%s is %q, want %q", option, got, want)
		}
	}
}

// TestNames holds the hashes of names to those of the reference.
func TestNames(t *testing.T) {
	for names, want := range map[[3]string][2]string{
		{"testnet", "ctr1", "eth0"}: {"CNI-cd7ce15e03fb592b7aed2b94", "CNI-DN-cd7ce15e03fb592b7aed2"},
		{"testnet", "ctr2", "eth1"}: {"CNI-cc1c4120f36511db1cd309f9", "CNI-DN-cc1c4120f36511db1cd30"},
		{"bn", "k1", "eth0"}:        {"CNI-376c1a9f9c054ed777cffd6b", "CNI-DN-376c1a9f9c054ed777cff"},
	} {
		n, known := namesOf(owner.Of(names[0], names[1], names[2]))
		if got := [2]string{n.masqChain(), n.dnatChain()}; !known || got != want {
			t.Errorf("%v: %v, want %v", n, got, want)
		}
	}
}
