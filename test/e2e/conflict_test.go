package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// fixed is a network whose containers are told their addresses.
func fixed(kind, keys string, addresses ...string) string {
	var list []string
	for _, a := range addresses {
		list = append(list, fmt.Sprintf(`{"address": %q}`, a))
	}
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": %q, "ipam": {"type": "static", %s"addresses": [%s]}}`, kind, keys, strings.Join(list, ", "))
}

const detect = `"detectConflict": true, `

// conflicts are the addresses of two containers of one network, and the one that both would have.
var conflicts = []struct {
	name       string
	have, want []string
	taken      string // empty: they get on
}{
	{"IPv4", []string{"10.1.0.5/24"}, []string{"10.1.0.5/24"}, "10.1.0.5"},
	{"IPv4, another prefix length", []string{"10.1.0.5/24"}, []string{"10.1.0.5/16"}, "10.1.0.5"},
	{"IPv6", []string{"fd00::5/64"}, []string{"fd00::5/64"}, "fd00::5"},
	{"the second of two", []string{"10.1.0.5/24", "fd00::5/64"}, []string{"10.1.0.6/24", "fd00::5/64"}, "fd00::5"},
	{"neighbours", []string{"10.1.0.5/24", "fd00::5/64"}, []string{"10.1.0.6/24", "fd00::6/64"}, ""},
}

// TestDetectConflict wants an address that somebody on the link has refused before it is given, by our own bridge and by the reference's, and nothing left; and not
// asked for where nobody wants to wait.
func TestDetectConflict(t *testing.T) {
	for _, c := range conflicts {
		for _, who := range append([]suite{{}}, suites()...) {
			t.Run(c.name+"/"+filepath.Base(who.dir), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					w := newStreet(t)
					w.container("one")
					w.container("two")
					w.attach("one", fixed("bridge", "", c.have...))
					before := snapshot.Take(t, netnsDir+"two")
					out, failed := addBy(t, who, "two", fixed("bridge", detect, c.want...))
					if failed != (c.taken != "") || failed && !strings.Contains(out, `"code":100`) || failed && !strings.Contains(out, c.taken+":") {
						t.Errorf("failed %t: %s", failed, out)
					}
					if failed && who.dir == "" {
						if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"two")); diff != "" {
							t.Errorf("the state is not as it was:\n%s", diff)
						}
					}
					if who.dir == "" {
						succeed(t, "DEL", "bridge", "two", fixed("bridge", detect, c.want...))
						succeed(t, "ADD", "bridge", "two", fixed("bridge", "", c.want...))
					}
				})
			})
		}
	}
}

// addBy calls bridge of a suite, ours where it is none, with our static below it. The output has no blank after a colon.
func addBy(t *testing.T, who suite, container, config string) (string, bool) {
	t.Helper()
	if who.dir == "" {
		who.dir = os.Getenv(pluginsVar)
	}
	cmd := exec.Command(filepath.Join(who.dir, "bridge"))
	cmd.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=" + container, "CNI_NETNS=" + netnsDir + container, "CNI_IFNAME=eth0",
		"CNI_PATH=" + os.Getenv(pluginsVar), "PATH=/usr/sbin"}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = strings.NewReader(config), &out
	err := cmd.Run()
	return strings.ReplaceAll(out.String(), ": ", ":"), err != nil
}

// TestDetectConflictOfTwo starts two at once with one address: at the most one gets it, for each sees the other ask.
func TestDetectConflictOfTwo(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		config, got := fixed("bridge", detect, "10.1.0.5/24", "fd00::5/64"), make(chan *reply)
		w.container("zero")
		w.attach("zero", fixed("bridge", "", "10.1.0.9/24")) // the bridge is there
		for _, name := range []string{"one", "two"} {
			w.container(name)
		}
		for _, name := range []string{"one", "two"} {
			go func() {
				r, err := invoke("ADD", "bridge", name, config)
				if err != nil {
					t.Error(err)
				}
				got <- r
			}()
		}
		first, second := <-got, <-got
		if first == nil || second == nil || first.Status == 0 && second.Status == 0 {
			t.Fatalf("both have the address: %s %s", first.Out, second.Out)
		}
	})
}

// TestDetectConflictNeedsALink wants the host's own address at the other end of a pair found, and said where there is nobody to ask.
func TestDetectConflictNeedsALink(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		w.container("one")
		before := snapshot.Take(t, netnsDir+"one")
		for config, want := range map[string]string{
			fixed("ptp", detect, "192.0.2.1/32"):                                         "address 192.0.2.1: ", // the host's uplink has it
			strings.Replace(fixed("static", detect, "10.1.0.5/24"), "1.0.0", "1.1.0", 1): "interface eth0: is not there yet",
		} {
			kind := "ptp"
			if strings.Contains(config, `"type": "static", "ipam"`) {
				kind = "static"
			}
			began := time.Now()
			r, err := invoke("ADD", kind, "one", config)
			must(t, err)
			if r.Status == 0 || !strings.Contains(r.Msg, want) {
				t.Errorf("%s: %q, want %q", config, r.Msg, want)
			}
			if kind == "static" && time.Since(began) > soon() {
				t.Error("waited where nobody could be asked")
			}
			if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"one")); diff != "" {
				t.Errorf("the state is not as it was:\n%s", diff)
			}
		}
		succeed(t, "ADD", "ptp", "one", fixed("ptp", detect, "10.1.0.5/32", "fd00::5/128"))
		succeed(t, "DEL", "ptp", "one", fixed("ptp", detect, "10.1.0.5/32"))
	})
}
