package iptables

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/process"
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
	readings      *readings
	turn          string // the file of firewall.Turn
}

// find returns the tool of the family: that of the host's choice where no flavour is named, which is what `iptables` is, and else one of
// the flavour. It runs nothing where the programs are links to a well-known one.
func (f *Filter) find(ctx context.Context, in family, want flavour) (*tool, error) {
	candidates := []string{in.program}
	if want != "" {
		candidates = append(candidates, in.program+"-"+string(want))
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
			return &tool{in, kind, save, restore, &f.readings, filepath.Join(f.options.Run, firewall.Turn)}, nil
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
	out, err := output(ctx, exec.CommandContext(ctx, program, "--version"))
	if err != nil {
		return "", fmt.Errorf("--version: %w", err)
	}
	if strings.Contains(out, "nf_tables") {
		return onNFT, nil
	}
	return legacy, nil // before 1.8 there was no other
}

// lingers is how long a program, or what it runs (many hosts have a script in its place), is waited for that has been killed.
const lingers = time.Second

func output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := process.Run(ctx, cmd, unix.SIGKILL, lingers); err != nil {
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
