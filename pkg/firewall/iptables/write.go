package iptables

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// lines are what is to be written to one table.
type lines struct {
	table string
	list  []string
}

// together is how many lines always fit one transaction. iptables-nft sends it in one datagram, and for somebody who is root in a user
// namespace alone that is bounded (net.core.wmem_default, 212992 bytes by default).
const together = 256

// write carries out the lines, table by table in the order given, by one run of the tool: all of a table's or none, and nothing after a table that
// failed. Where the tool may not send as much at a time, a table goes in parts, in its order: a container's chain, to which nothing leads yet,
// before what leads to it. The lock goes with the tool.
func (t *tool) write(ctx context.Context, lock *os.File, tables ...lines) error {
	text := t.input(tables...)
	if text == "" {
		return nil
	}
	if t.flavour == onNFT { // it begins anew for each transaction of others, and loses against whoever is quicker
		defer filelock.Turn(ctx, t.turn)()
	}
	cmd := exec.CommandContext(ctx, t.restore, "--noflush", "--wait")
	cmd.Stdin, cmd.ExtraFiles = strings.NewReader(text), []*os.File{lock}
	_, err := output(ctx, cmd)
	return err
}

// input is what the tool reads, a transaction from each asterisk to the COMMIT.
func (t *tool) input(tables ...lines) string {
	var text strings.Builder
	sign := ""
	if t.flavour == onNFT && gone.Watched(filepath.Dir(t.turn)) {
		sign = "\n:" + firewall.Sign + " - [0:0]\n-X " + firewall.Sign
	}
	for _, l := range tables {
		for some := range slices.Chunk(l.list, t.most(len(l.list))) {
			text.WriteString("*" + l.table + "\n" + strings.Join(some, "\n") + sign + "\nCOMMIT\n")
		}
	}
	return text.String()
}

// most is how many of so many lines the tool can send in one transaction. It asks the kernel for room first, which that gives to whoever has
// CAP_NET_ADMIN over the whole machine (SO_SNDBUFFORCE, socket(7)).
func (t *tool) most(lines int) int {
	if lines > together && t.flavour == onNFT && !unbounded() {
		return together
	}
	return max(lines, 1)
}

// unbounded says whether a program of ours may send datagrams of any size.
func unbounded() bool {
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(sock)
	return unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20) == nil
}
