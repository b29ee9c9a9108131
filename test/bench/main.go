// Command bench measures CNI plugins as a runtime calls them, ours beside others' and beside what the kernel itself takes.
//
//	go run ./test/bench                      the tables in a few minutes (make bench)
//	go run ./test/bench -long                with 10,000 pods, the reference with 1,000 and with 500 ports, and more rounds
//	go run ./test/bench -only one            one scenario: one, execs, family, ports, tcp, pods, backend, podman, pairs, firewall, parallel, mix, tool, reach
//	PEERS="name=dir ..." go run ./test/bench others' plugins, too
//
// Each contestant has a host of its own (namespaces of network and mounts), so nothing of the machine is touched. In each round all contestants do the
// same, one after the other; what disturbs the machine for a while disturbs all. docs/benchmarks explains what is measured and what is not.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trestle-cni/trestle/test/bench/host"
)

func main() {
	host.Serve() // in the process of a host it does not return
	var o options
	flag.BoolVar(&o.long, "long", false, "the whole matrix")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of each scenario; 0: as many as it needs")
	flag.BoolVar(&o.alone, "alone", false, "no peers")
	flag.StringVar(&o.only, "only", "", "one scenario alone")
	flag.StringVar(&o.from, "from", "", "a report.json to write tables and plots of again, instead of a run")
	flag.StringVar(&o.out, "out", "", "folder for report.txt, report.json and the plots; empty: only print")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what is asked for.
type options struct {
	long   bool
	alone  bool
	rounds int
	only   string
	from   string
	out    string
}

// run measures scenario by scenario, prints each table as soon as it is there, and writes the report at the end.
func run(ctx context.Context, o options) error {
	if o.from != "" {
		return again(o.from, o.out)
	}
	dir, err := os.MkdirTemp("", "trestle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	works, err := build(ctx, dir)
	if err != nil {
		return err
	}
	if o.alone {
		works.peers = nil
	}
	report := &Report{Machine: machine(ctx, works), Begun: time.Now().UTC().Truncate(time.Second)}
	fmt.Print(report.Machine)
	for _, s := range scenarios(o) {
		if o.only != "" && o.only != s.Name {
			continue
		}
		result, err := measure(s, works)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		report.Results = append(report.Results, result)
		fmt.Print("\n", result.text())
	}
	report.Took = time.Since(report.Begun).Round(time.Second)
	if len(report.Results) == 0 {
		return fmt.Errorf("scenario %q: there is none of that name", o.only)
	}
	fmt.Printf("\n%s\n%s in all\n", report.judge(), report.Took)
	if o.out == "" {
		return nil
	}
	return report.write(filepath.Clean(o.out))
}

// again writes what a run has measured.
func again(file, dir string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	report := new(Report)
	if err := json.Unmarshal(text, report); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return report.write(filepath.Clean(dir))
}
