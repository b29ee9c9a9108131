package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trestle-cni/trestle/pkg/kernel/dbus"
)

// The files of a system bus that starts firewalld for who asks for it: Debian's, but for the zone of what is in no other, which passes nothing on.
var busFiles = map[string]string{
	"/run/dbus/system.conf": `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=` + dbus.Socket + `</listen>
  <auth>EXTERNAL</auth>
  <servicedir>/run/dbus/services</servicedir>
  <limit name="service_start_timeout">600000</limit>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
`,
	"/run/dbus/services/firewalld.service": `[D-BUS Service]
Name=org.fedoraproject.FirewallD1
Exec=/usr/sbin/firewalld --nofork --nopid --log-target=console --system-config=/run/firewalld.conf.d
`,
	"/run/firewalld.conf.d/firewalld.conf": "DefaultZone=public\nFirewallBackend=nftables\n",
	"/run/firewalld.conf.d/zones/public.xml": `<?xml version="1.0" encoding="utf-8"?>
<zone><short>Public</short></zone>
`,
	"/run/firewalld.conf.d/zones/pods.xml": `<?xml version="1.0" encoding="utf-8"?>
<zone target="ACCEPT"><short>Pods</short></zone>
`,
}

// firewalld: the host gets a system bus and, on it, a firewalld that filters its packets, until the script ends. There are Debian's zones, of which public
// passes nothing on, and one more, pods, which passes all.
func firewalldCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "firewalld", len(args) == 0)
	stop, err := startFirewalld()
	ts.Defer(stop)
	ts.Check(err)
}

// startFirewalld returns when firewalld filters the packets of this network namespace. It ends with its bus.
func startFirewalld() (stop func(), err error) {
	stop = func() {}
	for path, text := range busFiles {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
	if err != nil {
		return stop, err
	}
	if stop, err = startBus(); err != nil {
		return stop, err
	}
	if err := askFirewalld(); err != nil {
		said, _ := os.ReadFile(busLog)
		return stop, fmt.Errorf("firewalld: %w\n%s", err, said)
	}
	return stop, nil
}

// askFirewalld asks it for something: that starts it, and the answer comes when it is ready.
func askFirewalld() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*soon()) // a program in Python, which makes some hundred rules
	defer cancel()
	conn, err := dbus.Open(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	const name = "org.fedoraproject.FirewallD1"
	_, err = conn.Call(name, "/org/fedoraproject/FirewallD1", name, "getDefaultZone")
	return err
}

const busLog = "/run/dbus/log"

// startBus returns when the bus listens. Whom it has started ends with it.
func startBus() (stop func(), err error) {
	stop = func() {}
	listens, tell, err := os.Pipe()
	if err != nil {
		return stop, err
	}
	defer listens.Close()
	log, err := os.Create(busLog)
	if err != nil {
		return stop, err
	}
	defer log.Close()
	cmd := exec.Command("/usr/bin/dbus-daemon", "--config-file=/run/dbus/system.conf", "--nofork", "--nopidfile", "--print-address=3")
	cmd.Env, cmd.ExtraFiles = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, []*os.File{tell}
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	tell.Close()
	if err != nil {
		return stop, fmt.Errorf("%w: see test/need", err)
	}
	stop = func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}
	_, err = bufio.NewReader(listens).ReadString('\n')
	return stop, err
}
