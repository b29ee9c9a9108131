package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// cnitool is the libcni program itself, with namespaces made by hand: no runtime sends CHECK or GC.
type cnitool struct{ tool, app string }

func (c *cnitool) Start() error { return copyFile(c.app, "/run/app") }
func (c *cnitool) Quit() error  { return nil }

func (c *cnitool) call(verb string, p *Pod) (string, error) {
	cmd := exec.Command(c.tool, verb, "node", filepath.Join(netns, p.Name))
	cmd.Env = append(os.Environ(), "CNI_PATH="+binDir, "NETCONFPATH="+confDir)
	if p.Host != 0 {
		ports := ""
		for _, protocol := range []string{"tcp", "udp"} {
			ports += fmt.Sprintf(`,{"hostPort":%d,"containerPort":8080,"protocol":%q}`, p.Host, protocol)
		}
		cmd.Env = append(cmd.Env, `CAP_ARGS={"portMappings":[`+ports[1:]+`]}`)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cnitool %s: %w: %s", verb, err, out)
	}
	return string(out), nil
}

func (c *cnitool) Run(p *Pod) error {
	path := filepath.Join(netns, p.Name)
	if err := makeNamespace(path); err != nil {
		return err
	}
	if _, err := c.call("add", p); err != nil {
		_, undone := c.call("del", p) // cnitool leaves that to whoever called it
		return errors.Join(err, undone, c.forget(p))
	}
	p.app = exec.Command("/run/app")
	p.app.Args = []string{"/app", "serve", p.Name}
	return in(path, p.app.Start)
}

func (c *cnitool) Stop(p *Pod) error {
	_, err := c.call("del", p)
	if p.app != nil {
		p.app.Process.Kill()
		p.app.Wait()
	}
	return err
}

func (c *cnitool) Remove(p *Pod) error {
	if _, err := os.Stat(filepath.Join(netns, p.Name)); err != nil {
		return nil
	}
	if err := c.Stop(p); err != nil {
		return err
	}
	return c.forget(p)
}

func (c *cnitool) forget(p *Pod) error {
	path := filepath.Join(netns, p.Name)
	return errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path))
}
