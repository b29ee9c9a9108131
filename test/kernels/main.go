// Command kernels boots kernels of Debian, found by name in its archive, in QEMU without hardware help, and runs tests in them that are compiled
// outside. The guest has this machine's root below a layer of its own: it can use every program, and change nothing.
//
//	kernels [-ci] [-part REGEXP] [-run REGEXP] KERNEL...    the tests that must hold on any kernel, in all these kernels at the same time; KERNEL is a series: 6.1
//	kernels -beside COMMAND KERNEL                          runs a shell's COMMAND beside the booted kernel; in it, `$ENTER COMMAND` runs in the guest
//	kernels -system FOLDER -beside COMMAND KERNEL           the same, of a system in FOLDER with an init of its own, which starts `kernels work`
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

func main() {
	runtime.LockOSThread() // the emulator ends with the thread that started it
	status, err := 1, error(nil)
	switch word(1) {
	case "guest":
		err = guest()
	case "work":
		err = work()
	case "enter":
		status, err = enter(os.Args[2:])
	default:
		status, err = lab()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		status = 1
	}
	os.Exit(status)
}

func word(n int) string {
	if len(os.Args) <= n {
		return ""
	}
	return os.Args[n]
}

// order is what was asked for.
type order struct {
	series            []string
	cache             string
	part, run, beside string
	system            string
	ci                bool
	deadline          time.Duration
}

func lab() (int, error) {
	var o order
	flag.StringVar(&o.cache, "cache", ".tools/kernels", "where kernels are kept")
	flag.StringVar(&o.part, "part", "", "the parts whose name matches: laws")
	flag.StringVar(&o.run, "run", "", "the tests whose name matches, in any package that is run here")
	flag.StringVar(&o.beside, "beside", "", "run this shell command beside the kernel, instead of tests")
	flag.StringVar(&o.system, "system", "", "a folder whose own init the machine is to start: what is in it, it sees, and cannot change")
	flag.BoolVar(&o.ci, "ci", false, "a selection, with all that this machine's kernel cannot show")
	flag.DurationVar(&o.deadline, "deadline", 90*time.Minute, "when a machine is ended, whatever it does")
	flag.Parse()
	o.series = flag.Args()
	if len(o.series) == 0 {
		return 1, fmt.Errorf("which kernels? as 6.1 6.12")
	}
	if o.beside == "" {
		return o.test()
	}
	return o.command()
}

// command runs a shell beside one kernel.
func (o order) command() (int, error) {
	m, err := o.boot(o.series[0])
	if err != nil {
		return 1, err
	}
	defer m.end()
	cmd := exec.Command("sh", "-c", o.beside)
	cmd.Env = append(os.Environ(), deskVar+"="+m.file("desk"), "ENTER="+m.self+" enter")
	cmd.Env = append(cmd.Env, seriesVar+"="+o.series[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	fmt.Printf("kernel %s: of the processor %v\n", o.series[0], m.spent().Round(time.Second))
	return cmd.ProcessState.ExitCode(), err
}
