package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// reply is how one call of a plugin ended.
type reply struct {
	Status  int // of the process
	Out     []byte
	Err     []byte
	Version string // the next four as in the error object
	Code    uint
	Msg     string
	Details string
}

// invoke calls a plugin by hand. The container is its ID and the name of its namespace, the interface eth0. Each change, NAME=value,
// replaces a variable that would be passed; without "=value" it is not passed at all. The error is that of a call that does not keep
// to the protocol.
func invoke(verb, plugin, container, config string, changes ...string) (*reply, error) {
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "CNI_COMMAND": verb, "CNI_PATH": os.Getenv(pluginsVar),
		"CNI_CONTAINERID": container, "CNI_NETNS": netnsDir + container, "CNI_IFNAME": "eth0",
	}
	for _, change := range changes {
		name, value, set := strings.Cut(change, "=")
		env[name] = value
		if !set {
			delete(env, name)
		}
	}
	cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), plugin))
	cmd.Env = []string{}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(config), &stdout, &stderr
	err := cmd.Run()
	r := &reply{Status: cmd.ProcessState.ExitCode(), Out: stdout.Bytes(), Err: stderr.Bytes()}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return r, r.judge()
}

// judge holds the exit status and the output to the protocol: 0, or 1 with an error object and nothing else.
func (r *reply) judge() error {
	switch r.Status {
	case 0:
		return nil
	case 1:
	default:
		return fmt.Errorf("exit status %d, want 0 or 1:\n%s%s", r.Status, r.Out, r.Err)
	}
	var object struct {
		CNIVersion, Msg, Details string
		Code                     uint
	}
	if err := json.Unmarshal(r.Out, &object); err != nil {
		return fmt.Errorf("the output of a failed call is not one object: %w:\n%s", err, r.Out)
	}
	r.Version, r.Code, r.Msg, r.Details = object.CNIVersion, object.Code, object.Msg, object.Details
	if r.Code == 0 || r.Msg == "" || r.Version == "" {
		return fmt.Errorf("an error object has a cniVersion, a code and a msg:\n%s", r.Out)
	}
	return nil
}

// cni VERB PLUGIN CONTAINER CONFIG [VARIABLE=value...]: one call of a plugin by hand, see invoke. With "!" it must fail.
func cniCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, false, "cni VERB PLUGIN CONTAINER CONFIG [VARIABLE=value...]", len(args) > 3)
	r, err := invoke(args[0], args[1], args[2], ts.ReadFile(args[3]), args[4:]...)
	ts.Check(err)
	ts.Stdout().Write(r.Out)
	ts.Stderr().Write(r.Err)
	switch {
	case r.Status != 0 && !neg:
		ts.Fatalf("unexpected failure: code %d: %s", r.Code, r.Msg)
	case r.Status == 0 && neg:
		ts.Fatalf("unexpected success")
	}
}

// reference VERB PLUGIN CONTAINER CONFIG: one call of a plugin of the reference, from Debian's containernetworking-plugins. It finds our
// address plugins, and no others.
func referenceCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "reference VERB PLUGIN CONTAINER CONFIG", len(args) == 4)
	cmd := exec.Command("/usr/lib/cni/" + args[1])
	cmd.Env = []string{
		"CNI_COMMAND=" + args[0], "CNI_CONTAINERID=" + args[2], "CNI_NETNS=" + netnsDir + args[2], "CNI_IFNAME=eth0",
		"CNI_PATH=" + os.Getenv(pluginsVar), "PATH=" + os.Getenv(pathVar) + ":/usr/sbin", // it runs iptables and nft
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(ts.ReadFile(args[3])), ts.Stdout(), ts.Stderr()
	ts.Check(cmd.Run())
}

// chained CONFIG RESULT NEW: writes the configuration with the result of the plugins before it, as a runtime makes it.
func chainedCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "chained CONFIG RESULT NEW", len(args) == 3)
	config := make(map[string]json.RawMessage)
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &config))
	config["prevResult"] = json.RawMessage(ts.ReadFile(args[1]))
	text, err := json.MarshalIndent(config, "", "  ")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o644))
}
