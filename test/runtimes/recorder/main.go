// Command recorder stands in a plugin's place: it has the plugin's name in the runtime's directory, runs the real plugin of that name from the
// directory `real` beside it, and appends what passed to the file `calls`. So what a runtime really sends is known, not believed.
//
// A pipe `hold/<VERB>-<plugin>` makes a call of that plugin wait, when it has been done, until whoever opened its other end closes it.
//
// A file `fail/<VERB>-<plugin>` makes one call of that plugin fail, and is used up by it: an ADD when it has been done, the worst moment; any
// other before.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/runtimes/calls"
)

func main() {
	self, err := os.Executable() // an argument need not be a path; a link is not followed by the runtime either
	if err != nil {
		fail(err)
	}
	name := filepath.Base(os.Args[0])
	top := filepath.Dir(filepath.Dir(self))
	stdin, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	call := calls.Call{Plugin: name, Verb: os.Getenv("CNI_COMMAND"), Env: environment(), Stdin: stdin}
	spoil := os.Remove(filepath.Join(top, "fail", call.Verb+"-"+name)) == nil
	if !spoil || call.Verb == "ADD" {
		run(filepath.Join(top, "real", name), &call)
	}
	os.ReadFile(filepath.Join(top, "hold", call.Verb+"-"+name)) // mostly there is none
	if spoil {
		call.Status, call.Stdout = 1, []byte(`{"cniVersion":"1.0.0","code":999,"msg":"`+name+`: made to fail"}`)
	}
	if err := keep(filepath.Join(top, "calls"), call); err != nil {
		fail(err)
	}
	os.Stdout.Write(call.Stdout)
	os.Exit(call.Status)
}

// environment is what the protocol speaks of; a plugin inherits the runtime's whole environment besides.
func environment() map[string]string {
	env := make(map[string]string)
	for _, pair := range os.Environ() {
		if key, value, _ := strings.Cut(pair, "="); strings.HasPrefix(key, "CNI_") {
			env[key] = value
		}
	}
	return env
}

func run(plugin string, call *calls.Call) {
	var stdout bytes.Buffer
	cmd := exec.Command(plugin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(call.Stdin), &stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	call.Milliseconds = float64(time.Since(began).Microseconds()) / 1000
	if cmd.ProcessState == nil {
		fail(err) // it was not there, or could not be run
	}
	call.Stdout, call.Status = stdout.Bytes(), cmd.ProcessState.ExitCode()
}

// keep appends the call in one write, so that calls at the same time do not mix.
func keep(file string, call calls.Call) error {
	line, err := json.Marshal(call)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = out.Write(append(line, '\n'))
	return err
}

func fail(err error) {
	json.NewEncoder(os.Stdout).Encode(map[string]any{"cniVersion": "1.0.0", "code": 999, "msg": fmt.Sprintf("recorder: %v", err)})
	os.Exit(1)
}
