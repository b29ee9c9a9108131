// Command tally runs `go test` with its arguments and adds up. A line appears for each package as it ends; the output of what failed
// is repeated at the end, before the sum, so that nobody has to run the tests again to learn what happened.
//
// A skipped test has shown nothing, so it counts as failed.
package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/trestle-cni/trestle/test/tally/sum"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	t := sum.New()
	readErr := t.Read(events, os.Stdout, "")
	err = cmd.Wait()
	t.Report(os.Stdout)
	_, failed := t.Count()
	if readErr != nil || err != nil && failed == 0 {
		fmt.Fprintln(os.Stderr, "tally: go test:", readErr, err)
	}
	if readErr != nil || err != nil || failed > 0 {
		os.Exit(1)
	}
}
