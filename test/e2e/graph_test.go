package e2e

import (
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
)

// updateVar set to 1 writes the pictures instead of comparing with them; then look at them.
const updateVar = "E2E_UPDATE"

// TestGraph draws hosts of one, three and two hundred containers, and compares with the pictures that are kept: those in docs/ and the texts
// beside the scenes.
func TestGraph(t *testing.T) {
	for _, scene := range []string{"one", "three", "many"} {
		t.Run(scene, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				dir := t.TempDir()
				must(t, os.Setenv("OUT", dir))
				paste(t, read(t, "testdata/graph/begin.sh")+read(t, "testdata/graph/"+scene+".sh")+drawing)
				for ending, kept := range map[string]string{
					".txt": "testdata/graph/" + scene + ".txt", ".dot": "testdata/graph/" + scene + ".dot",
					".mmd": "testdata/graph/" + scene + ".mmd", ".svg": "../../docs/pictures/" + scene + ".svg",
				} {
					compare(t, kept, normal(read(t, dir+"/host"+ending)))
				}
				holdImage(t, dir+"/host.svg")
				for _, ending := range []string{".ls", ".show", ".context"} {
					compare(t, "testdata/graph/"+scene+ending, normal(aged(read(t, dir+"/host"+ending))))
				}
			})
		})
	}
}

// drawing is run in a process namespace of its own, so that no other process's network namespace is found.
const drawing = `
draw() { TZ=UTC unshare --pid --fork --mount-proc --uts sh -c 'hostname node-1 && exec bin/trestle graph "$@"' sh "$@"; }
draw --width 120 -o "$OUT/host.txt"
for ending in svg dot mmd; do draw -o "$OUT/host.$ending"; done
tell() { unshare --pid --fork --mount-proc bin/trestle "$@"; }
tell ls --wide >"$OUT/host.ls"
tell ls --json | head -n 80 >>"$OUT/host.ls"
tell show "container:$(tell ls --wide | awk 'NR == 2 { print $2 }')" >"$OUT/host.show"
last=$(ls /run/netns | tail -n 1)
tell context | head -n 70 >"$OUT/host.context"
tell context "$last" >>"$OUT/host.context"
tell context "$last" --diff=outside >>"$OUT/host.context"
`

// aged has the same letters for what time and the kernel choose, and leaves out what the kernel does some time later by itself.
func aged(text string) string {
	for _, change := range [][2]string{
		{`\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b`, "xx:xx:xx:xx:xx:xx"}, {`(?m)^.*fe80::.*\n`, ""}, {`\d{4}-\d\d-\d\dT[\d:]+Z`, "(then)"},
		{` \d+[smh] `, " 0s "}, {`, no carrier`, ""}, {`\((disabled|forwarding)`, "(forwarding"}, {`up, disabled`, "up, forwarding"}, {`(conntrack_count +)\d+`, "${1}N"}, {`  +`, "  "}, {` +\n`, "\n"},
		{`"inode": \d+`, `"inode": N`},
	} {
		text = regexp.MustCompile(change[0]).ReplaceAllString(text, change[1])
	}
	return text
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	return string(text)
}

// normal has the same letters for what is drawn by lot, and numbers namespaces as they come.
func normal(text string) string {
	numbers := map[string]string{}
	text = regexp.MustCompile(`netns/\d+`).ReplaceAllStringFunc(text, func(id string) string {
		if numbers[id] == "" {
			numbers[id] = fmt.Sprintf("netns/%d", len(numbers)+1)
		}
		return numbers[id]
	})
	text = regexp.MustCompile(`\b\d{4}-\d\d-\d\d [\d:]+ UTC`).ReplaceAllString(text, "2026-11-26 12:00:00 UTC")
	return regexp.MustCompile(`\bveth[0-9a-f]{8}\b`).ReplaceAllString(text, "vethxxxxxxxx") // the reference's
}

func compare(t *testing.T, kept, got string) {
	t.Helper()
	if os.Getenv(updateVar) == "1" {
		must(t, os.WriteFile(kept, []byte(got), 0o644))
	} else if diff := cmp.Diff(read(t, kept), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", kept, diff)
	}
}

// holdImage parses the SVG, renders it, and wants an image of the size that it gives, in which every box is drawn and has text.
func holdImage(t *testing.T, file string) {
	t.Helper()
	cmd := exec.Command("rsvg-convert", file)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv(pathVar))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	picture, err := png.Decode(out)
	must(t, err)
	must(t, cmd.Wait())
	boxes := 0
	for decoder := xml.NewDecoder(strings.NewReader(read(t, file))); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		area := image.Rect(number(element, "x"), number(element, "y"), number(element, "x")+number(element, "width"), number(element, "y")+number(element, "height"))
		switch class := attribute(element, "class"); {
		case element.Name.Local == "svg" && area != picture.Bounds():
			t.Errorf("the image is %v, the SVG %v", picture.Bounds(), area)
		case strings.HasPrefix(class, "box "):
			boxes++
			if !area.In(picture.Bounds()) || colours(picture, area) < 8 {
				t.Errorf("box %q at %v of %v has %d colours: no text?", class, area, picture.Bounds(), colours(picture, area))
			}
		}
	}
	if boxes < 7 {
		t.Errorf("%d boxes", boxes)
	}
}

func attribute(element xml.StartElement, name string) string {
	for _, a := range element.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func number(element xml.StartElement, name string) int {
	n, _ := strconv.Atoi(attribute(element, name)) // 0 where there is none
	return n
}

// colours counts them in a part of the picture: smooth letters have many.
func colours(picture image.Image, area image.Rectangle) int {
	seen := map[color.Color]bool{}
	for x := area.Min.X; x < area.Max.X; x++ {
		for y := area.Min.Y; y < area.Max.Y; y++ {
			seen[picture.At(x, y)] = true
		}
	}
	return len(seen)
}
