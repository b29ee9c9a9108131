//go:build kernels

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// onTap is the first program of a machine that has nothing but a network card: it tells the other end that it is there, and stays.
const onTap = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
while read -r module; do
	$b insmod "/modules/$module"
done </modules/order
$b ip addr add 10.82.0.3/24 dev eth0
$b ip link set eth0 up
$b nc 10.82.0.2 7 </dev/console
while :; do $b sleep 3600; done
`

// What the test makes once, for the hosts of its own in which it goes on: the folder of the plugins and of the machine's first root, and its kernel.
const (
	folderVar = "TAP_FOLDER"
	kernelVar = "TAP_KERNEL"
)

// TestGuestOnTap has a virtual machine open the taps that the plugin makes: it reaches the container, and answers a ping.
func TestGuestOnTap(t *testing.T) {
	if os.Getenv(folderVar) == "" {
		prepareTap(t)
	}
	for name, way := range map[string]struct{ keys, netdev, card string }{
		"plain":                   {`"mtu": 1400`, "", ""},
		"of an owner":             {`"owner": 0, "group": 0`, "", ""},
		"of an owner, two queues": {`"owner": 0, "group": 0, "multiQueue": true`, ",queues=2", ",mq=on"},
	} {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				g := onTapGuest{t}
				g.call("ADD", way.keys)
				g.answers(way.netdev, way.card)
				g.call("CHECK", way.keys)
				g.call("DEL", way.keys)
			})
		})
	}
}

func prepareTap(t *testing.T) {
	cache, err := filepath.Abs("../../.tools/kernels")
	must(t, err)
	k, err := find("6.1", cache)
	must(t, err)
	image, err := k.initramfs([]byte(onTap), []string{"virtio_pci", "virtio_net"})
	must(t, err)
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "initrd"), image, 0o644))
	must(t, built.Into(folder, "../../cmd/tap", "../../cmd/static"))
	t.Setenv(folderVar, folder)
	t.Setenv(kernelVar, k.Dir+"/boot/vmlinuz-"+k.Release)
}

type onTapGuest struct{ *testing.T }

var must = nstest.Must

// call calls the plugin for the container. Its result is kept where the next call finds it.
func (g onTapGuest) call(verb, keys string) {
	g.Helper()
	netns := "/run/netns/c1"
	if verb == "ADD" {
		netns = nstest.Namespace(g, "c1")
	}
	config := `{"cniVersion": "1.1.0", "name": "guest", "type": "tap", ` + keys + `, "ipam": {"type": "static", "addresses": [{"address": "10.82.0.2/24"}]}`
	if prev, err := os.ReadFile("/run/result"); err == nil {
		config += `, "prevResult": ` + string(prev)
	}
	cmd := exec.Command(filepath.Join(os.Getenv(folderVar), "tap"))
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=c1", "CNI_NETNS=" + netns, "CNI_IFNAME=eth0", "CNI_PATH=" + os.Getenv(folderVar)}
	cmd.Stdin = strings.NewReader(config + "}")
	out, err := cmd.Output()
	if err != nil {
		g.Fatalf("%s: %v: %s", verb, err, out)
	}
	if json.Valid(out) {
		must(g.T, os.WriteFile("/run/result", out, 0o644))
	}
}

// answers boots a machine on the tap, waits for its word, and pings it.
func (g onTapGuest) answers(netdev, card string) {
	desk := g.listen()
	defer desk.Close()
	var console bytes.Buffer
	emulator := exec.Command("nsenter", "--net=/run/netns/c1", "qemu-system-x86_64", "-accel", "tcg", "-cpu", processor, "-m", "256", "-no-user-config", "-nodefaults",
		"-nographic", "-no-reboot", "-kernel", os.Getenv(kernelVar), "-initrd", filepath.Join(os.Getenv(folderVar), "initrd"),
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable", "-serial", "stdio",
		"-netdev", "tap,id=n,ifname=eth0,script=no,downscript=no"+netdev, "-device", "virtio-net-pci,netdev=n,romfile="+card)
	emulator.Stdout, emulator.Stderr = &console, &console
	emulator.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // it is sent when the thread ends that started it
	must(g.T, emulator.Start())
	end := func() {
		_ = emulator.Process.Kill()
		_ = emulator.Wait() // it was killed
	}
	conn, err := desk.Accept()
	if err != nil {
		end()
		g.Fatalf("the guest does not say that it is there: %v\n%s", err, console.String())
	}
	defer end()
	defer conn.Close()
	must(g.T, nstest.In("/run/netns/c1", func() error {
		out, err := exec.Command("busybox", "ping", "-c", "3", "10.82.0.3").CombinedOutput()
		g.Logf("%s", out)
		return err
	}))
}

// listen is where the guest says that it is there.
func (g onTapGuest) listen() *net.TCPListener {
	var desk net.Listener
	must(g.T, nstest.In("/run/netns/c1", func() (err error) {
		desk, err = net.Listen("tcp4", "10.82.0.2:7")
		return err
	}))
	must(g.T, desk.(*net.TCPListener).SetDeadline(time.Now().Add(slack.Of(60*time.Second))))
	return desk.(*net.TCPListener)
}
