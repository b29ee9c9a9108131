package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// machine is a booted kernel.
type machine struct {
	kernel Kernel
	self   string        // this program
	system string        // the folder of a system that has an init of its own; empty: this machine's root, of which this program is process 1
	dir    string        // for what it is made of; gone with it
	cmd    *exec.Cmd     // the emulator
	dead   chan struct{} // closed when the emulator has ended
	desk   net.Listener  // where requests are handed in

	busy sync.Mutex // one request at a time
	to   *json.Encoder
	from *json.Decoder
}

// boot starts the kernel, and returns when it takes requests. Whatever it does then, it is ended after the deadline.
func boot(k Kernel, system string, deadline time.Duration) (*machine, error) {
	dir, err := os.MkdirTemp("", "trestle-kernel-")
	if err != nil {
		return nil, err
	}
	m := &machine{kernel: k, system: system, dir: dir, dead: make(chan struct{})}
	if err = m.furnish(); err == nil {
		err = m.run(m.emulator(), deadline)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return m, nil
}

// run runs the emulator, for as long as the deadline at the most, and returns when the machine takes requests.
func (m *machine) run(emulator *exec.Cmd, deadline time.Duration) error {
	line, err := net.Listen("unix", m.file("line"))
	if err != nil {
		return err
	}
	if m.desk, err = net.Listen("unix", m.file("desk")); err != nil {
		return err
	}
	emulator.Stderr = os.Stderr
	emulator.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // sent when the thread that forked ends: main keeps it
	if err := emulator.Start(); err != nil {
		return err
	}
	m.cmd = emulator
	go func() {
		_ = m.cmd.Wait() // that it has ended is all there is to know
		line.Close()
		close(m.dead)
	}()
	time.AfterFunc(deadline, func() { _ = m.cmd.Process.Kill() })
	if err := m.hello(line); err != nil {
		defer m.end()
		return fmt.Errorf("kernel %s: it does not come up: %w\n%s", m.kernel.Package, err, m.console())
	}
	go m.attend()
	return nil
}

func (m *machine) file(name string) string { return filepath.Join(m.dir, name) }

// console is the end of what the kernel said.
func (m *machine) console() string {
	text, _ := os.ReadFile(m.file("console")) // for people: none is as good as an error
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// ended says whether the emulator has.
func (m *machine) ended() bool {
	select {
	case <-m.dead:
		return true
	default:
		return false
	}
}

// furnish makes what the machine is made of.
func (m *machine) furnish() error {
	image, err := m.kernel.initramfs(initScript, needed)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.file("initrd"), image, 0o644); err != nil {
		return err
	}
	if m.self, err = os.Executable(); err != nil {
		return err
	}
	return m.disk()
}

// processor is one without what costs an emulator more than a processor: bytes moved one by one by one instruction, wide registers to save, a fifth level of
// page tables, and switches at each copy from a program. Its counter is read in place (tsc=reliable), other clocks are devices.
const processor = "max,erms=off,fsrm=off,la57=off,smap=off,smep=off,avx=off,avx2=off"

// There is one: two wait for each other, which is work for an emulator, and on 6.12 they were seen to stand still for a minute.
func (m *machine) emulator() *exec.Cmd {
	k, root, first := m.kernel, "/", m.self
	if m.system != "" {
		root, first = m.system, "/sbin/init"
	}
	return exec.Command("qemu-system-x86_64",
		"-accel", "tcg,thread=multi,tb-size=512", "-cpu", processor, "-smp", "1", "-m", "2048", "-no-user-config", "-nodefaults", "-nographic", "-no-reboot",
		"-kernel", k.Dir+"/boot/vmlinuz-"+k.Release, "-initrd", m.file("initrd"),
		"-append", "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable lab.program="+first,
		"-fsdev", "local,id=root,path="+root+",readonly=on,multidevs=remap,security_model=none", "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
		"-fsdev", "local,id=modules,path="+k.Dir+"/lib/modules,readonly=on,security_model=none", "-device", "virtio-9p-pci,fsdev=modules,mount_tag=modules",
		"-drive", "file="+m.file("disk")+",format=raw,if=virtio,cache=unsafe",
		"-serial", "file:"+m.file("console"), "-serial", "unix:"+m.file("line"))
}

// disk makes a disk with an empty file system, where tests have their files: what tmpfs keeps depends on the kernel, what a disk keeps does not.
func (m *machine) disk() error {
	if err := os.WriteFile(m.file("disk"), nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(m.file("disk"), 4<<30); err != nil {
		return err
	}
	_, err := run("mkfs.ext4", "-q", "-F", m.file("disk"))
	return err
}

// hello waits for the machine's first word.
func (m *machine) hello(line net.Listener) error {
	conn, err := line.Accept()
	if err != nil {
		return err
	}
	m.to, m.from = json.NewEncoder(conn), json.NewDecoder(conn)
	var r reply
	return m.from.Decode(&r)
}

// attend takes requests until the machine has ended.
func (m *machine) attend() {
	for {
		client, err := m.desk.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			if err := m.serve(client); err != nil {
				_ = json.NewEncoder(client).Encode(reply{Ended: true, Failed: err.Error()}) // who has gone does not hear it
			}
		}()
	}
}

// serve hands a client's request to the machine, and what comes back to the client. A client that goes away does not end its program.
func (m *machine) serve(client net.Conn) error {
	var r request
	if err := json.NewDecoder(client).Decode(&r); err != nil {
		return err
	}
	m.busy.Lock()
	defer m.busy.Unlock()
	if err := m.to.Encode(r); err != nil {
		return fmt.Errorf("the machine has ended: %w", err)
	}
	back := json.NewEncoder(client)
	for {
		var r reply
		if err := m.from.Decode(&r); err != nil {
			return fmt.Errorf("the machine ended, or its time was over: %w\n%s", err, m.console())
		}
		_ = back.Encode(r) // if nobody hears it, the machine must still get rid of it
		if r.Ended {
			return nil
		}
	}
}

// spent is the time that the emulator has had the processor: on a machine with other work, it says more than the time that went by.
func (m *machine) spent() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if err != nil || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // utime and stime of proc_pid_stat(5), in hundredths of a second
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// end ends the machine and everything about it.
func (m *machine) end() {
	_ = m.cmd.Process.Kill() // nothing of it is to be kept
	<-m.dead
	m.desk.Close()
	os.RemoveAll(m.dir)
}
