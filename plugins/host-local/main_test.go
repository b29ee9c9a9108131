package hostlocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/space"
)

// init keeps the main goroutine on the first thread, whose system calls a test counts.
func init() { runtime.LockOSThread() }

// TestMain makes this test binary a host-local, too: tests that need processes run it again with CNI_COMMAND set.
func TestMain(m *testing.M) {
	if os.Getenv("CNI_COMMAND") != "" {
		plugin.Main(Plugin())
	}
	if os.Getuid() == 0 && os.Getenv(settled) == "" {
		os.Exit(onOwnHost())
	}
	if os.Getenv(settled) != "" {
		if err := space.Settle(); err != nil {
			fmt.Fprintln(os.Stderr, "host-local:", err)
			os.Exit(1)
		}
		os.Unsetenv(settled)
	}
	os.Exit(m.Run())
}

// settled is set in the environment where the tests have a host of their own.
const settled = "HOST_LOCAL_SETTLED"

// onOwnHost runs all tests in a host of their own: as root, the plugin would write into the machine's /run.
func onOwnHost() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), settled+"=1")
	cmd.SysProcAttr = space.Attributes(false)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "host-local: a host of its own:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// call is one call of an address plugin.
type call struct {
	command string
	id      string // default ctr1
	ifName  string // default eth0
	args    string
	config  string // %DIR% stands for the data directory
	dir     string
}

func (c call) environ() []string {
	or := func(text, def string) string {
		if text == "" {
			return def
		}
		return text
	}
	return []string{"CNI_COMMAND=" + c.command, "CNI_CONTAINERID=" + or(c.id, "ctr1"), "CNI_IFNAME=" + or(c.ifName, "eth0"),
		"CNI_NETNS=/proc/none/ns/net", "CNI_PATH=/none", "CNI_ARGS=" + c.args}
}

func (c call) stdin() string { return strings.ReplaceAll(c.config, "%DIR%", c.dir) }

// answer is what came of a call.
type answer struct {
	status int
	out    string
	log    string
	cpu    time.Duration // of a process
}

// code returns the error's code, 0 for none.
func (a answer) code(t testing.TB) uint {
	t.Helper()
	if a.status == 0 {
		return 0
	}
	var e struct{ Code uint }
	must(t, json.Unmarshal([]byte(a.out), &e))
	return e.Code
}

// addrs returns the addresses of a result, or the error's text in their place; "" for no output.
func (a answer) addrs(t testing.TB) string {
	t.Helper()
	if a.out == "" {
		return ""
	}
	if a.status != 0 {
		var e struct{ Msg string }
		must(t, json.Unmarshal([]byte(a.out), &e))
		return e.Msg
	}
	result, err := types100.NewResult([]byte(a.out))
	must(t, err)
	var texts []string
	for _, ip := range result.(*types100.Result).IPs {
		texts = append(texts, ip.Address.IP.String())
	}
	return strings.Join(texts, " ")
}

// run calls the plugin in this process.
func (c call) run(t testing.TB) answer {
	t.Helper()
	return c.runContext(t.Context())
}

func (c call) runContext(ctx context.Context) answer {
	var out, log bytes.Buffer
	status := plugin.Run(ctx, Plugin(), plugin.Environment(c.environ()), plugin.Streams{In: strings.NewReader(c.stdin()), Out: &out, Err: &log})
	return answer{status: status, out: out.String(), log: log.String()}
}

// exec calls a plugin as a program.
func (c call) exec(t testing.TB, file string) answer {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), file)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.environ(), strings.NewReader(c.stdin()), &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	state := cmd.ProcessState
	return answer{state.ExitCode(), out.String(), log.String(), state.UserTime() + state.SystemTime()}
}

// network returns a configuration of network net with the given members of ipam.
func network(version, ipam string) string {
	return fmt.Sprintf(`{"cniVersion": %q, "name": "net", "type": "bridge", "ipam": {"type": "host-local", "dataDir": "%%DIR%%", %s}}`, version, ipam)
}

// tree returns what the data directory holds of the reference's layout, as mode and content by path.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".trestle" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, content := strings.TrimPrefix(path, dir), []byte(nil)
		if d.Type().IsRegular() {
			content, err = os.ReadFile(path)
		}
		all[name] = fmt.Sprintf("%v %q", info.Mode(), content)
		return err
	}))
	return all
}

var must = nstest.Must

// runTo calls the plugin in this process with another standard output, and returns its exit status.
func (c call) runTo(t testing.TB, out io.Writer) int {
	t.Helper()
	return plugin.Run(t.Context(), Plugin(), plugin.Environment(c.environ()), plugin.Streams{In: strings.NewReader(c.stdin()), Out: out, Err: io.Discard})
}

// normal returns JSON as a value that compares without regard to order and white space.
func normal(t testing.TB, text string) any {
	t.Helper()
	var value any
	must(t, json.Unmarshal([]byte(text), &value))
	return value
}

// contextWithDeadline is a runtime that has little patience.
func contextWithDeadline(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 50*time.Millisecond)
}
