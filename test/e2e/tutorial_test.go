package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

const tutorial = "../../docs/tutorial.md"

// TestTutorial runs every command of the tutorial, in one shell and a host of its own, and compares all that is printed with the page.
func TestTutorial(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		page := read(t, tutorial)
		blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?").FindAllStringSubmatchIndex(page, -1)
		if len(blocks) < 10 {
			t.Fatalf("the page has %d blocks of commands", len(blocks))
		}
		var session strings.Builder
		for i, b := range blocks {
			fmt.Fprintf(&session, "echo '%s'\n", mark(i))
			session.WriteString(page[b[2]:b[3]])
		}
		dir, said := pasted(t, session.String())
		printed := page[:blocks[0][0]]
		for i, b := range blocks {
			_, after, found := strings.Cut(said, mark(i)+"\n")
			if !found {
				t.Fatalf("the session ended before block %d:\n%s", i, said)
			}
			out, _, _ := strings.Cut(after, mark(i+1)+"\n")
			if b[4] < 0 && out != "" {
				t.Errorf("the page does not show what this prints:\n%s%s", page[b[2]:b[3]], out)
			}
			printed += "```sh\n" + page[b[2]:b[3]] + "```\n"
			if b[4] >= 0 {
				printed += "\n```text\n" + shape(out) + "```\n"
			}
			end := len(page)
			if i+1 < len(blocks) {
				end = blocks[i+1][0]
			}
			printed += page[b[1]:end]
		}
		compare(t, tutorial, printed)
		compare(t, "../../docs/pictures/tutorial.svg", shape(read(t, dir+"/host.svg")))
	})
}

func mark(block int) string { return fmt.Sprintf("----- block %d -----", block) }

// shape has the same letters in place of what differs from run to run: hardware addresses, numbers of links, the time that something took, and
// whether the kernel's link watch has run already for a link that is up.
func shape(text string) string {
	for _, r := range [][2]string{
		{`\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b`, "02:00:5e:00:53:01"}, {`@if\d+`, "@if2"}, {`(?m)^\d+: `, "2: "}, {`netns/\d+`, "netns/N"},
		{`\bUP  ( +\S+ <BROADCAST,MULTICAST,UP>)`, "DOWN$1"},
		{`NO-CARRIER,`, ""}, {`state (disabled|learning|listening) `, "state forwarding "}, {` linkdown`, ""},
		{`(?m)^(\S+@if2 +)(?:UP|DOWN|UNKNOWN|LOWERLAYERDOWN) +`, "${1}UP             "},
		{`\b\d+s( +whole)`, "0s$1"},
		{`network of \S+, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`, "network of node, 2026-01-01 12:00:00 UTC"},
		{`port \d+ after \d+ ms`, "port 80 after 0 ms"}, {`after \d+ milliseconds`, "after 1000 milliseconds"}, {`counter packets \d+ bytes \d+`, "counter packets 0 bytes 0"}, {`(?m)[ \t]+$`, ""},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	return text
}

// pasted is paste that keeps the folder.
func pasted(t *testing.T, session string) (dir, said string) {
	t.Helper()
	must(t, os.Setenv("OUT", t.TempDir()))
	said = paste(t, strings.ReplaceAll(session, "-o host.svg", `-o "$OUT/host.svg"`))
	return os.Getenv("OUT"), said
}
