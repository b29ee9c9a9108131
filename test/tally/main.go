// Command tally runs `go test` with its arguments and adds up. What a failed test said is printed when it fails, and a line for each package as it ends;
// at the end stand the names of what failed, and the sum. The tests have more time where the machine has other work.
//
// A skipped test has shown nothing, so it counts as failed.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/trestle-cni/trestle/test/slack"
	"github.com/trestle-cni/trestle/test/tally/sum"
)

// longest is what a package's tests may take on any machine.
const longest = 40 * time.Minute

func main() {
	bound := min(slack.Of(10*time.Minute), longest)
	cmd := exec.Command("go", append([]string{"test", "-json", "-timeout=" + bound.String()}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	t := sum.New(os.Stdout)
	readErr := t.Read(events, "")
	err = cmd.Wait()
	t.Report()
	_, failed := t.Count()
	if readErr != nil || err != nil && failed == 0 {
		fmt.Fprintln(os.Stderr, "tally: go test:", readErr, err)
	}
	if readErr != nil || err != nil || failed > 0 {
		os.Exit(1)
	}
}
