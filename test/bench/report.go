package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is a whole run.
type Report struct {
	Machine Machine       `json:"machine"`
	Begun   time.Time     `json:"begun"`
	Took    time.Duration `json:"took"`
	Results []*Result     `json:"results"`
}

// Machine is where it was, and what was there.
type Machine struct {
	Processor string   `json:"processor"`
	Cores     int      `json:"cores"`
	Memory    string   `json:"memory"`
	Kernel    string   `json:"kernel"`
	Go        string   `json:"go"`
	Load      string   `json:"load"` // of one, five and fifteen minutes, before the run
	Plugins   []string `json:"plugins"`
	Tools     []string `json:"tools"` // that the plugins start
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, Linux %s, %s; load before the run %s\n%s\n", m.Processor, m.Cores, m.Memory, m.Kernel, m.Go, m.Load,
		strings.Join(slices.Concat(m.Plugins, m.Tools), "\n"))
}

func machine(ctx context.Context, w works) Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Processor: fact("/proc/cpuinfo", "model name"), Memory: fact("/proc/meminfo", "MemTotal"),
		Kernel: line("/proc/sys/kernel/osrelease")}
	if fields := strings.Fields(line("/proc/loadavg")); len(fields) > 2 {
		m.Load = strings.Join(fields[:3], " ")
	}
	m.Plugins = []string{"trestle: " + revision(ctx)}
	for _, p := range w.peers {
		file := filepath.Join(p.dir, "bridge")
		m.Plugins = append(m.Plugins, strings.TrimSuffix(fmt.Sprintf("%s: %s, %s", p.name, says(ctx, file), packaged(ctx, file)), ", "))
	}
	m.Tools = []string{says(ctx, "iptables", "--version"), says(ctx, "nft", "--version")}
	return m
}

// says is the first line of what a program says of itself.
func says(ctx context.Context, name string, args ...string) string {
	out, _ := exec.CommandContext(ctx, name, args...).CombinedOutput() // some end with an error
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

// packaged is Debian's package that the file is of, with its version; empty for none.
func packaged(ctx context.Context, file string) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--search", file).Output()
	name, _, ok := strings.Cut(string(out), ":")
	if err != nil || !ok {
		return ""
	}
	return says(ctx, "dpkg-query", "--show", "--showformat", "${Package} ${Version}", name)
}

// revision is the commit of the working directory, which ours are built from.
func revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func line(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func fact(file, key string) string {
	for l := range strings.Lines(line(file)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// write writes the numbers, by which all else can be made again (-from), then the report, whose intervals take a minute, and the plots.
func (r *Report) write(dir string) error {
	numbers, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "report.json"), append(numbers, '\n'), 0o644))
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s%s, %s\n", r.Machine, r.Begun.Format(time.DateTime), r.Took)
	for _, result := range r.Results {
		text.WriteString("\n" + result.text())
	}
	text.WriteString("\n" + r.judge())
	return errors.Join(os.WriteFile(filepath.Join(dir, "report.txt"), []byte(text.String()), 0o644), r.plot(dir))
}
