package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/snapshot"
)

// collect has cnitool ask for GC until nothing but the state of before is there. None is alive, and the plugins take away who provably is not:
// whose link has gone, which the kernel sees to some time after the namespace. They hear of GC in lists of version 1.1.0 only; before,
// libcni deletes what it has results of and asks nobody. The shared ground goes, too, so a pod brings it back. Where nothing is left, nobody is asked:
// older plugins know no GC.
func (t *Trial) collect(before string) error {
	if left(before, 500*time.Millisecond) == nil {
		return nil
	}
	content, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	dir := "/run/collect"
	now := strings.Replace(string(content), "1.0.0", "1.1.0", 1)
	if err := errors.Join(os.MkdirAll(dir, 0o755), write(dir+"/node.conflist", now)); err != nil {
		return err
	}
	return within(t.settling(), func() error {
		cmd := exec.Command(filepath.Join(t.work, "cnitool"), "gc", "node", outside)
		cmd.Env = append(os.Environ(), "CNI_PATH="+binDir, "NETCONFPATH="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cnitool gc: %w: %s", err, out)
		}
		if err := started(t); err != nil {
			return err
		}
		after, err := state()
		if diff := snapshot.Diff(before, after); diff != "" {
			return fmt.Errorf("GC left:\n%s", diff)
		}
		return err
	})
}

// forgotten: podman sends no DEL for a container whose namespace's name has gone. The dead one is in nobody's way, and GC takes it away.
func forgotten(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	if err := vanished(t); err != nil {
		return err
	}
	p, err := t.pod(18083)
	if err != nil {
		return fmt.Errorf("the dead one's port: %w", err)
	}
	return errors.Join(serving(p), t.gone(p), t.collect(before))
}

// silent: CHECK finds nothing wrong with a healthy pod.
func silent(t *Trial) error {
	p, err := t.pod(18087)
	if err != nil {
		return err
	}
	if _, err := t.Runtime.(*cnitool).call("check", p); err != nil {
		return err
	}
	return t.gone(p)
}

// verified: CHECK names what was broken behind its back.
func verified(t *Trial) error {
	tool := t.Runtime.(*cnitool)
	p, err := t.pod(18087)
	if err != nil {
		return err
	}
	set := func(f func(netlink.Link) error) error {
		return in(filepath.Join(netns, p.Name), func() error {
			link, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			return f(link)
		})
	}
	if err := set(netlink.LinkSetDown); err != nil {
		return err
	}
	if _, err := tool.call("check", p); err == nil || !strings.Contains(err.Error(), "eth0") {
		return fmt.Errorf("eth0 is down, and CHECK says: %v", err)
	}
	return t.gone(p)
}

// collected: an attachment that nobody deletes goes with GC, and so does one that libcni has no result of.
func collected(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	for _, cached := range []bool{true, false} {
		p, err := t.pod(18088)
		if err != nil {
			return err
		}
		if !cached {
			if err := os.RemoveAll("/var/lib/cni/results"); err != nil {
				return err
			}
		}
		p.app.Process.Kill()
		p.app.Wait()
		t.pods = nil
		if err := errors.Join(t.Runtime.(*cnitool).forget(p), t.collect(before)); err != nil {
			return err
		}
	}
	return nil
}

// conditioned: with a conflist of 1.1.0, STATUS decides whether the node is ready, and the node says what our plugin said.
func conditioned(t *Trial) error {
	content, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	ready := func() error { return eventually(t.Runtime.(*node).Ready) }
	if err := replaceFile(good, strings.Replace(string(content), "1.0.0", "1.1.0", 1)); err != nil {
		return err
	}
	asked := eventually(func() error {
		t.Runtime.(*node).Ready()
		return calledFor("STATUS", "bridge", "portmap")
	})
	err = errors.Join(asked, ready(), started(t))
	bad := strings.NewReplacer("1.0.0", "1.1.0", "10.85.0.0/16", "10.85.0.0/33").Replace(string(content))
	if err := errors.Join(err, replaceFile(good, bad)); err != nil {
		return err
	}
	unready := eventually(func() error {
		if err := t.Runtime.(*node).Ready(); err == nil || !strings.Contains(err.Error(), "10.85.0.0/33") {
			return fmt.Errorf("a bad subnet, and the node says: %v", err)
		}
		return nil
	})
	return errors.Join(unready, replaceFile(good, string(content)), ready(), started(t))
}
