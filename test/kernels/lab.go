package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/tally/sum"
)

// finding lets one kernel be found at a time: apt has a lock on its lists, and does not wait for it.
var finding sync.Mutex

// boot finds a kernel of the series and boots it.
func (o order) boot(series string) (*machine, error) {
	cache, err := filepath.Abs(o.cache)
	if err != nil {
		return nil, err
	}
	finding.Lock()
	k, err := find(series, cache)
	finding.Unlock()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	m, err := boot(k, o.system, o.deadline)
	if err == nil {
		fmt.Printf("kernel %s: %s, up in %v, of the processor %v\n", series, k.Package, time.Since(began).Round(time.Second), m.spent().Round(time.Second))
	}
	return m, err
}

// verdict is what a kernel's tests said.
type verdict struct {
	tally *sum.Tally
	err   error // why they are not all
}

// test runs the tests in all kernels at the same time.
func (o order) test() (int, error) {
	programs, err := o.build()
	if err != nil {
		return 1, err
	}
	began, verdicts, all := time.Now(), make([]verdict, len(o.series)), sync.WaitGroup{}
	for i, series := range o.series {
		all.Go(func() {
			runtime.LockOSThread() // the emulator ends with the thread that started it
			t := sum.New(os.Stdout)
			verdicts[i] = verdict{t, o.testIn(series, programs, t)}
		})
	}
	all.Wait()
	status := o.report(verdicts)
	fmt.Printf("on the kernels %s, in %v\n", strings.Join(o.series, " and "), time.Since(began).Round(time.Second))
	return status, nil
}

// report prints all verdicts, also where one kernel did not come up: that is a failure, too.
func (o order) report(verdicts []verdict) (status int) {
	for i, v := range verdicts {
		fmt.Printf("\nkernel %s:\n", o.series[i])
		v.tally.Report()
		if v.err != nil {
			fmt.Fprintln(os.Stderr, "kernels:", v.err)
		}
		if _, failed := v.tally.Count(); failed > 0 || v.err != nil {
			status = 1
		}
	}
	return status
}

// build compiles what tests run; the tests themselves `go test` compiles.
func (o order) build() (folder string, err error) {
	if folder, err = filepath.Abs(filepath.Join(o.cache, "programs")); err != nil {
		return "", err
	}
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	const cnitool = "github.com/containernetworking/cni/cnitool"
	runtimes := filepath.Join(folder, "runtimes")
	return folder, errors.Join(
		built.Into(filepath.Join(folder, "cmd"), "./cmd/..."), built.Into(folder, cnitool, "./test/demo/peer"), built.Into(runtimes, cnitool),
		forRuntimes(runtimes))
}

// forRuntimes makes what test/runtimes/run makes.
func forRuntimes(folder string) error {
	_, err := run("sh", "-ec", `go -C test/runtimes build -trimpath -o "$0/" ./app ./recorder .
		cp conf/60-node.conflist "$0/node.conflist"
		cp conf/61-node-one.conflist "$0/node-one.conflist"`, folder)
	return err
}

// testIn runs the batches in one kernel. A batch of which no test was run has shown nothing.
func (o order) testIn(series, programs string, t *sum.Tally) error {
	batches, err := o.batches(series)
	if err != nil {
		return err
	}
	m, err := o.boot(series)
	if err != nil {
		return err
	}
	defer m.end()
	var errs []error
	for _, b := range batches {
		if m.ended() {
			errs = append(errs, fmt.Errorf("kernel %s: the machine ended before %s", series, b.name))
			break
		}
		ran := total(t)
		began, spent := time.Now(), m.spent()
		err := b.in(m, t, append(os.Environ(), deskVar+"="+m.file("desk"), built.Outside+"="+programs, seriesVar+"="+series))
		fmt.Printf("      %s: %s: %v, of the processor %v\n", series, b.name, time.Since(began).Round(time.Second), (m.spent() - spent).Round(time.Second))
		if total(t) == ran && o.run == "" {
			err = errors.Join(err, fmt.Errorf("kernel %s: %s: no test was run", series, b.name))
		}
		errs = append(errs, err)
	}
	if total(t) == 0 {
		errs = append(errs, fmt.Errorf("kernel %s: no test was run", series))
	}
	return errors.Join(errs...)
}

func total(t *sum.Tally) int {
	passed, failed := t.Count()
	return passed + failed
}

// in runs the batch in the machine. What tests fail is the tally's to say.
func (b batch) in(m *machine, t *sum.Tally, env []string) error {
	args := append([]string{"test", "-json", "-count=1", "-p=1", "-vet=off", "-tags=" + tag, "-exec=" + m.self + " enter"}, b.flags()...)
	cmd := exec.Command("go", args...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	_, before := t.Count()
	err = t.Read(events, m.kernel.Series+" ")
	ended := cmd.Wait()
	if _, after := t.Count(); ended != nil && after == before {
		err = errors.Join(err, fmt.Errorf("%s: go test: %w", b.name, ended))
	}
	return err
}
