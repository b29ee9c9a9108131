package ruleset

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
)

// readLegacy reads the tables of the kernel's ip_tables and ip6_tables. Their programs are run only where the kernel lists a table: to ask
// for one makes it. (The list is in /proc/net, which is that of the process's first thread; of this one it is in /proc/thread-self.)
func (r *Ruleset) readLegacy(ctx context.Context, left *budget.Budget) {
	for _, family := range []string{"ip", "ip6"} {
		program := family + "tables"
		file := "/proc/thread-self/net/" + family + "_tables_names"
		names, err := procfile.Read(file)
		if err != nil || len(bytes.TrimSpace(names)) == 0 {
			if err != nil && !os.IsNotExist(err) {
				r.Gaps = append(r.Gaps, fmt.Sprintf("iptables-legacy: %v", err))
			}
			continue
		}
		out, err := legacySave(ctx, program, left)
		if err != nil {
			r.Gaps = append(r.Gaps, fmt.Sprintf("iptables-legacy: the kernel has the tables %s: %v", strings.Join(strings.Fields(string(names)), ", "), err))
			continue
		}
		r.Tables = append(r.Tables, parseSave(out, family, strings.Fields(string(names)))...)
	}
}

// legacySave runs the program that reads ip_tables. Its socket is opened in the calling thread's namespace, since a child has that.
func legacySave(ctx context.Context, program string, left *budget.Budget) ([]byte, error) {
	for _, name := range []string{program + "-legacy-save", program + "-save"} {
		path, err := exec.LookPath(name)
		if err != nil {
			if path = filepath.Join("/usr/sbin", name); !exists(path) {
				continue
			}
		}
		if flavourOf(path) != Legacy {
			continue
		}
		out, err := left.Output(exec.CommandContext(ctx, path, "-c"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s-legacy-save: not found", program)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// legacyHooks are the hooks of iptables' base chains, and legacyPriorities at which its tables see packets (nf_ip_hook_priorities).
var (
	legacyHooks      = map[string]Hook{"PREROUTING": Prerouting, "INPUT": Input, "FORWARD": Forward, "OUTPUT": Output, "POSTROUTING": Postrouting}
	legacyPriorities = map[string]int32{"raw": -300, "mangle": -150, "filter": 0, "security": 50}
)

// parseSave reads what iptables-save -c prints. Only the named tables are taken, since the program lists more.
func parseSave(text []byte, family string, names []string) (tables []*Table) {
	var t *Table
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "*"):
			t = &Table{Family: family, Name: line[1:], Flavour: Legacy}
			if slices.Contains(names, t.Name) {
				tables = append(tables, t)
			}
		case t == nil:
		case strings.HasPrefix(line, ":"):
			t.Chains = append(t.Chains, t.parseChain(line[1:]))
		case strings.HasPrefix(line, "["), strings.HasPrefix(line, "-A "):
			t.parseRule(line)
		}
	}
	return tables
}

// parseChain reads `NAME POLICY [packets:bytes]`; a chain that others jump to has the policy -.
func (t *Table) parseChain(line string) *Chain {
	fields := append(strings.Fields(line), "", "")
	c := &Chain{Name: fields[0]}
	if fields[1] == "-" || fields[1] == "" {
		return c
	}
	c.Hook, c.Policy, c.Type, c.Priority = legacyHooks[c.Name], strings.ToLower(fields[1]), "filter", legacyPriorities[t.Name]
	if t.Name == "nat" {
		c.Type, c.Priority = "nat", translateDest
		if c.Hook == Input || c.Hook == Postrouting {
			c.Priority = translateSource
		}
	}
	return c
}

// parseRule reads `[packets:bytes] -A CHAIN words`.
func (t *Table) parseRule(line string) {
	list := fields(line)
	r := &Rule{}
	if counts, ok := strings.CutPrefix(list[0], "["); ok {
		packets, octets, _ := strings.Cut(strings.TrimSuffix(counts, "]"), ":")
		r.Counter = &Counter{}
		r.Counter.Packets, _ = strconv.ParseUint(packets, 10, 64)
		r.Counter.Bytes, _ = strconv.ParseUint(octets, 10, 64)
		list = list[1:]
	}
	if len(list) < 2 {
		return
	}
	c := t.Chain(list[1])
	if c == nil {
		return
	}
	_, r.Text, _ = strings.Cut(line, "-A "+list[1])
	r.Text = strings.TrimSpace(r.Text)
	(&reader{words: list[2:], rule: r}).read()
	c.Rules = append(c.Rules, r)
}

// fields takes a line apart at spaces, but not within quotes.
func fields(line string) (list []string) {
	var word strings.Builder
	quoted, begun := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				list = append(list, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		list = append(list, word.String())
	}
	if len(list) == 0 {
		list = []string{""}
	}
	return list
}
