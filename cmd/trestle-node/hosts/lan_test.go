package hosts

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// lan is what docs/cluster.md has for a LAN: the agent's file, and the network's.
func lan(t *testing.T) (agent map[string]any, list string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/cluster.md")
	must(t, err)
	_, section, _ := strings.Cut(string(text), "\nWith `flat` ")
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, 2)
	must(t, json.Unmarshal([]byte(blocks[0][1]), &agent))
	delete(agent, "endpoints")
	return agent, blocks[1][1]
}

// Hosts share a range of a LAN, which somebody would split by hand: each gets blocks as it needs them, no address is had twice, and containers are reached by each other and
// by who else is on the LAN. The store is killed meanwhile: an ADD goes on while the host's blocks have room, and is refused only then.
func TestLAN(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		conf, list := lan(t)
		pods := 14
		if os.Getenv("TRESTLE_LONG") != "" {
			pods = 200
			conf["pool"] = map[string]any{"shape": "flat", "cidrs": []string{"192.168.4.0/22"}, "subnets": []string{"192.168.0.0/16"},
				"gateways": []string{"192.168.1.1"}, "blockSize": map[string]int{"ipv4": 26}}
		}
		w := newWorld(t, conf)
		w.run("ip", "-n", "outside", "address", "add", "192.168.1.1/16", "dev", "eth0")
		w.serve("outside")
		for i, name := range []string{"h1", "h2", "h3"} {
			var names []string
			for n := range pods {
				names = append(names, fmt.Sprintf("%s-%d", name, n))
			}
			w.host(name, "sw0", "", []string{fmt.Sprintf("192.0.2.%d/24", i+1)}, names...).conflist(list)
		}
		w.hosts[0].node("init")
		for _, h := range w.hosts {
			h.start()
			w.until(h.name+" has a block", h.says("claimed block"))
			for range pods / 3 {
				h.fill(pods)
			}
		}
		w.stopStore()
		for _, h := range w.hosts {
			for h.pods < pods {
				room := h.room()
				if err := h.attach(); err != nil && room > 0 {
					t.Fatalf("there is no store, and room for %d: %v", room, err)
				} else if err != nil {
					break
				}
			}
		}
		w.startStore()
		var all []pod
		for _, h := range w.hosts {
			for h.pods < pods {
				h.fill(pods)
			}
			all = append(all, h.known...)
		}
		blocks := w.hosts[0].list()
		for i, p := range all {
			if wrong := p.wrong(blocks, all); len(wrong) > 0 {
				t.Error(strings.Join(wrong, "\n"))
			}
			w.run("ip", "-n", p.name, "link", "set", "lo", "up")
			w.serve(p.name)
			must(t, reaches("outside", p.addrs[0], netip.MustParseAddr("192.168.1.1")))
			must(t, reaches(p.name, all[i%pods].addrs[0], p.addrs...)) // the first host's, which answer by now
		}
	})
}

// fill attaches the host's next container, as soon as there is room.
func (h *host) fill(pods int) {
	h.w.t.Helper()
	h.w.until(fmt.Sprintf("%s has room for container %d of %d", h.name, h.pods+1, pods), h.attach)
}

// attach attaches the host's next container. Where there is no room it says so, and nothing else fails.
func (h *host) attach() error {
	h.w.t.Helper()
	name := fmt.Sprintf("%s-%d", h.name, h.pods)
	out, err := h.command(program("cnitool"), "add", "pods", "/run/netns/"+name).CombinedOutput()
	if err != nil {
		h.full(name, out)
		return fmt.Errorf("%s: %s", name, out)
	}
	h.pods++
	h.known = append(h.known, h.parse(name, out))
	return nil
}

// full holds that an ADD was refused for no other reason than that the host has no address left.
func (h *host) full(name string, said []byte) {
	h.w.t.Helper()
	if text := string(said); !strings.Contains(text, "no range") && !strings.Contains(text, "no address") && !strings.Contains(text, "full") {
		h.w.t.Fatalf("%s: %s", name, text)
	}
}

// room is how many addresses host-local may hand out that nobody has.
func (h *host) room() (n int) {
	h.w.t.Helper()
	for _, r := range h.ranges() {
		for addr := r.RangeStart; !r.RangeEnd.Less(addr); addr = addr.Next() {
			n++
		}
	}
	return n - len(h.known)
}
