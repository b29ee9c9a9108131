package iptables

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// flavour is where the rules of a tool end up. The tables of one flavour are not seen by the other's tools, and packets pass both.
type flavour string

const (
	onNFT  flavour = "nft"    // tables ip nat, ip raw ... of nf_tables
	legacy flavour = "legacy" // the kernel's ip_tables
)

// family is one of the two for which there is a tool.
type family struct {
	program   string // the tool's name
	is4       bool
	multicast string
	loopback  string // what a host keeps to itself
	bits      int    // of an address
}

func families() []family {
	return []family{{"iptables", true, "224.0.0.0/4", "127.0.0.0/8", 32}, {"ip6tables", false, "ff00::/8", "::1/128", 128}}
}

// place is where rules can be: what is made of one place is not seen in another.
type place struct {
	family
	flavour
}

// places are all that there are.
func places() (list []place) {
	for _, f := range families() {
		list = append(list, place{f, onNFT}, place{f, legacy})
	}
	return list
}

func (f family) has(a netip.Addr) bool { return a.Is4() == f.is4 }

// host is the address as a rule has it.
func (f family) host(a netip.Addr) string { return fmt.Sprintf("%s/%d", a, f.bits) }

// tool is the pair of programs by which one family and flavour is read and written. They must be of one flavour.
type tool struct {
	family
	flavour
	save, restore string // paths
}

// find returns the tool of the family: that of the host's choice where no flavour is named, which is what `iptables` is, and else one of
// the flavour. It runs nothing where the programs are links to a well-known one.
func find(ctx context.Context, f family, want flavour) (*tool, error) {
	candidates := []string{f.program}
	if want != "" {
		candidates = append(candidates, f.program+"-"+string(want))
	}
	for _, name := range candidates {
		save, restore := program(name+"-save"), program(name+"-restore")
		if save == "" || restore == "" {
			continue
		}
		kind, err := flavourOf(ctx, restore)
		if err != nil {
			return nil, err
		}
		if want == "" || want == kind {
			return &tool{f, kind, save, restore}, nil
		}
	}
	return nil, fault.New(fault.Unsupported, "install iptables, or choose the backend nftables", "%s: not found in PATH", candidates[len(candidates)-1])
}

// program finds a program in PATH, or where system programs are if a runtime's PATH leaves that out; empty: nowhere.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

func flavourOf(ctx context.Context, program string) (flavour, error) {
	if real, err := filepath.EvalSymlinks(program); err == nil {
		switch filepath.Base(real) {
		case "xtables-nft-multi":
			return onNFT, nil
		case "xtables-legacy-multi":
			return legacy, nil
		}
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", program, err)
	}
	if bytes.Contains(out, []byte("nf_tables")) {
		return onNFT, nil
	}
	return legacy, nil // before 1.8 there was no other
}

// read returns one table.
func (t *tool) read(ctx context.Context, table string) (*ruleset, error) {
	out, err := t.run(exec.CommandContext(ctx, t.save, "-t", table))
	if err != nil {
		return nil, err
	}
	return parse(out), nil
}

// lines are what is to be written to one table.
type lines struct {
	table string
	list  []string
}

// together is how many lines always fit one transaction. iptables-nft sends it in one datagram, and for somebody who is root in a user
// namespace alone that is bounded (net.core.wmem_max, 212992 bytes by default).
const together = 256

// write carries out the lines, table by table in the order given: all of a table's or none, and nothing after a table that failed. What is too long
// for that goes in parts, in its order: a container's chain, to which nothing leads yet, before what leads to it. The lock goes with the tool.
func (t *tool) write(ctx context.Context, lock *os.File, tables ...lines) error {
	total := 0
	for _, l := range tables {
		total += len(l.list)
	}
	if total <= together {
		return t.commit(ctx, lock, tables...)
	}
	for _, l := range tables {
		err := t.commit(ctx, lock, l)
		if tooLong(err) {
			err = t.inParts(ctx, lock, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tool) inParts(ctx context.Context, lock *os.File, l lines) error {
	for some := range slices.Chunk(l.list, together) {
		if err := t.commit(ctx, lock, lines{l.table, some}); err != nil {
			return err
		}
	}
	return nil
}

// tooLong says whether the tool failed with EMSGSIZE, which it writes with a capital.
func tooLong(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), unix.EMSGSIZE.Error())
}

// commit is one run of the tool.
func (t *tool) commit(ctx context.Context, lock *os.File, tables ...lines) error {
	var text strings.Builder
	for _, l := range tables {
		if len(l.list) > 0 {
			text.WriteString("*" + l.table + "\n" + strings.Join(l.list, "\n") + "\nCOMMIT\n")
		}
	}
	if text.Len() == 0 {
		return nil
	}
	cmd := exec.CommandContext(ctx, t.restore, "--noflush", "--wait")
	cmd.Stdin, cmd.ExtraFiles = strings.NewReader(text.String()), []*os.File{lock}
	_, err := t.run(cmd)
	return err
}

func (t *tool) run(cmd *exec.Cmd) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, oneLine(complaint.String()))
	}
	return out.String(), nil
}

// oneLine drops the hints of iptables about the other flavour, which are no errors.
func oneLine(text string) string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "# Warning") && !strings.HasPrefix(line, "Try ") {
			list = append(list, line)
		}
	}
	return strings.Join(list, ", ")
}
