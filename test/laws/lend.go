package laws

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
)

// lend starts a DHCP server at the link, and the daemon that asks it for containers. Each container has its address by its name, so that it does not depend on
// Ethernet addresses, which are drawn by lot, nor on who asks first.
func (w *World) lend(link string) error {
	address, err := netlink.ParseAddr("10.1.0.1/24")
	if err != nil {
		return err
	}
	far, err := netlink.LinkByName(link)
	if err == nil {
		err = netlink.AddrAdd(far, address)
	}
	if err != nil {
		return err
	}
	const pid = "/run/dnsmasq.pid"
	words := []string{"--conf-file=/dev/null", "--port=0", "--interface=" + link, "--bind-interfaces", "--no-ping", "--user=", "--group=", "--pid-file=" + pid,
		"--dhcp-leasefile=/run/dnsmasq.leases", "--dhcp-authoritative", "--dhcp-range=10.1.0.0,static,255.255.255.0,1h"}
	for n := range 200 {
		client := fmt.Sprintf("\x00%s/%s/%s", container(n).ID, w.Network, ifName)
		words = append(words, fmt.Sprintf("--dhcp-host=id:%s,10.1.0.%d", strings.ReplaceAll(fmt.Sprintf("% x", client), " ", ":"), 10+n))
	}
	if out, err := exec.Command("/usr/sbin/dnsmasq", words...).CombinedOutput(); err != nil {
		return fmt.Errorf("dnsmasq: %w: %s", err, out)
	}
	w.Cleanup(func() {
		text, err := os.ReadFile(pid)
		number, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || wrong != nil {
			w.Errorf("dnsmasq: %v, %v", err, wrong)
			return
		}
		if process, err := os.FindProcess(number); err == nil {
			_ = process.Kill()
		}
	})
	return w.renew()
}

// renew starts the daemon, with its socket, so that nobody has to wait for it.
func (w *World) renew() error {
	if err := os.MkdirAll(filepath.Dir(folder.Socket), 0o700); err != nil {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: folder.Socket, Net: "unix"})
	if err != nil {
		return err
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	daemon := exec.Command("/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec "+w.Path+"/dhcp daemon")
	daemon.ExtraFiles = []*os.File{file}
	if err := daemon.Start(); err != nil {
		return err
	}
	w.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait() // it was killed
	})
	return nil
}
