// Command runtimes puts container runtimes on the network with the suite's plugins, and sees what comes of it. Each runtime is started for
// real, on a private host. It needs root and Debian's packages, and touches nothing of the machine's network.
//
//	runtimes -work DIR [-plugins DIR] [-beside DIR] [-only TEXT] [-skip REGEXP] [-record DIR] RUNTIME...
//
// -work has what was built for it: the plugins, app, recorder, cnitool and, where that is asked for, containerd 2. With -beside, the same
// is done with the plugins of another directory, and a table has both; only what the first ones fail is a failure.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func init() { runtime.LockOSThread() } // main keeps the first thread, so that nothing else enters a namespace with it

func main() {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		exit(first(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "host" {
		exit(0, host(os.Args[2:]))
	}
	var o order
	flag.StringVar(&o.work, "work", "", "what was built for this")
	flag.StringVar(&o.plugins, "plugins", "", "the plugins that are tried (those of -work)")
	flag.StringVar(&o.beside, "beside", "", "other plugins, to compare")
	flag.StringVar(&o.only, "only", "", "the checks whose name has this")
	flag.Func("skip", "not the checks whose name matches this", func(pattern string) (err error) {
		o.skip = pattern
		_, err = regexp.Compile(pattern)
		return err
	})
	flag.StringVar(&o.record, "record", "", "keep what the runtimes sent in this directory")
	flag.Parse()
	o.runtimes = flag.Args()
	exit(o.carryOut())
}

func exit(status int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtimes:", err)
		status = 1
	}
	os.Exit(status)
}

// order is what was asked for.
type order struct {
	work, plugins, beside, only, skip, record string
	runtimes                                  []string
}

func (o order) carryOut() (int, error) {
	defer prune()
	if o.plugins == "" {
		o.plugins = filepath.Join(o.work, "plugins")
	}
	if err := packImage(filepath.Join(o.work, "app"), filepath.Join(o.work, "image.tar")); err != nil {
		return 1, err
	}
	began := time.Now()
	ours, err := o.try("plugins", o.plugins)
	if err != nil {
		return 1, err
	}
	var others []Verdict
	if o.beside != "" {
		fmt.Printf("\nbeside them, the plugins of %s:\n", o.beside)
		o.skip = strings.Trim(o.skip+"|^thirty failures", "|") // it is about our own words, and waits for each
		if others, err = o.try("beside", o.beside); err != nil {
			return 1, err
		}
		table(os.Stdout, ours, others)
	}
	counts(os.Stdout, o.runtimes, ours, others)
	failed := 0
	for _, v := range ours {
		if !v.Passed {
			failed++
		}
	}
	fmt.Printf("\nin %v\nruntimes: %d passed, %d failed\n", time.Since(began).Round(time.Second), len(ours)-failed, failed)
	if failed > 0 || len(ours) == 0 {
		return 1, nil
	}
	return 0, nil
}
