package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/runtimes/calls"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// Trial is one runtime on one private host, and the pods that a check has made on it.
type Trial struct {
	Runtime
	traits Trait
	work   string // what was built for this
	pods   []*Pod
	made   int // pods so far: no two have one name

	said []string // what users were told, where a check is about that
}

// Check is one thing that is seen to. It ends with no pod and no trace of one, whatever it did.
type Check struct {
	name    string
	needs   Trait // the runtimes that it is for have all of these,
	without Trait // and none of these
	see     func(*Trial) error
}

// Verdict is what came of a check.
type Verdict struct {
	Runtime, Check string
	Passed         bool
	Reason         string  `json:",omitempty"`
	Seconds        float64 // that it took

	Said []string `json:",omitempty"` // to the runtime's user
}

// pod starts a pod of its own name. It is removed at the end of the check.
func (t *Trial) pod(host uint16) (*Pod, error) {
	t.made++
	p := &Pod{Name: fmt.Sprintf("pod%d", t.made), Host: host}
	t.pods = append(t.pods, p)
	if err := t.Run(p); err != nil {
		return p, fmt.Errorf("run %s: %w", p.Name, err)
	}
	_, err := p.namespace()
	return p, err
}

// port is the host's port where the runtime publishes ports, or does so by itself, else 0.
func (t *Trial) port(host uint16) uint16 {
	if t.traits&(Ports|Mapper) == 0 {
		return 0
	}
	return host
}

// refused wants a pod not to start, with an error that has the words.
func (t *Trial) refused(host uint16, words ...string) error {
	_, err := t.pod(host)
	failed := t.pods[len(t.pods)-1]
	if err == nil {
		return fmt.Errorf("%s: started, want an error with %q", failed.Name, words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			return fmt.Errorf("%q is not in the runtime's words: %w", word, err)
		}
	}
	return nil
}

// gone stops and removes a pod.
func (t *Trial) gone(p *Pod) error {
	if err := t.Stop(p); err != nil {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	return t.forget(p)
}

func (t *Trial) forget(p *Pod) error {
	if err := t.Remove(p); err != nil {
		return fmt.Errorf("remove %s: %w", p.Name, err)
	}
	p.id = ""
	for i, other := range t.pods {
		if p == other {
			t.pods = append(t.pods[:i], t.pods[i+1:]...)
			return nil
		}
	}
	return nil
}

// clear removes the pods that are left.
func (t *Trial) clear() error {
	var errs []error
	for _, p := range append([]*Pod(nil), t.pods...) {
		if err := t.forget(p); err != nil && p.process() != "" {
			errs = append(errs, err)
		}
	}
	t.pods = nil
	return errors.Join(errs...)
}

// try runs a check, and then looks for what is left.
func (t *Trial) try(c Check) (v Verdict) {
	began := time.Now()
	earlier, _ := calls.Read(callsFile)
	before, err := state()
	if err == nil {
		err = errors.Join(c.see(t), t.clear(), left(before, t.settling()))
	}
	v = Verdict{Check: c.name, Passed: err == nil, Seconds: time.Since(began).Seconds(), Said: t.said}
	t.said = nil
	if err != nil {
		v.Reason = err.Error() + "\n" + since(len(earlier))
		_ = started(t) // which makes again what all pods share, so that the next check is not blamed for it
	}
	return v
}

// calledFor wants the plugins to have been called with the verb, ever.
func calledFor(verb string, plugins ...string) error {
	list, err := calls.Read(callsFile)
	if err != nil {
		return err
	}
	for _, plugin := range plugins {
		if !slices.ContainsFunc(list, func(c calls.Call) bool { return c.Verb == verb && c.Plugin == plugin }) {
			return fmt.Errorf("no %s of %s was ever asked for", verb, plugin)
		}
	}
	return nil
}

// since lists the calls that the runtime made after so many, for whoever has to find out what went wrong.
func since(earlier int) string {
	list, err := calls.Read(callsFile)
	if err != nil || len(list) <= earlier {
		return "calls: none"
	}
	var out strings.Builder
	out.WriteString("calls:\n")
	for _, call := range list[earlier:] {
		fmt.Fprintf(&out, "%s %s %.12s netns %q: status %d\n", call.Verb, call.Plugin, call.Env["CNI_CONTAINERID"], call.Env["CNI_NETNS"], call.Status)
	}
	return out.String()
}

var bridgeMAC = regexp.MustCompile(`(?m)^(host link cni0 bridge) mac \S+`)

// state is the host's network, the reservations, and the runtime's cache of results.
func state() (string, error) {
	text, err := snapshot.Read()
	if err != nil {
		return "", err
	}
	cached, err := filepath.Glob("/var/lib/cni/results/*")
	text = bridgeMAC.ReplaceAllString(text, "$1") // a bridge that GC took away comes back with another
	for _, file := range cached {
		text += "host result " + filepath.Base(file) + "\n"
	}
	return text, err
}

// settling is how long something may still be there of who has gone. Of other plugins, which are only compared, what stays is not waited for so long: they leave
// something in one check of two.
func (t *Trial) settling() time.Duration {
	if t.traits&Adopt == 0 {
		return 5 * time.Second
	}
	return patience()
}

// left wants the state to be that of before. The kernel takes a dead container's links away some time after it died.
func left(before string, long time.Duration) error {
	var diff string
	for deadline := time.Now().Add(long); ; time.Sleep(50 * time.Millisecond) {
		after, err := state()
		if err != nil {
			return err
		}
		if diff = snapshot.Diff(before, after); diff == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("left:\n" + diff)
		}
	}
}

const callsFile = topDir + "/calls" // the recorder's

// spoil makes one call of a plugin fail: see the recorder.
func spoil(verb, plugin string) error {
	return os.WriteFile(filepath.Join(topDir, "fail", verb+"-"+plugin), nil, 0o644)
}

// unspoil takes that back, and says whether it had not happened.
func unspoil(verb, plugin string) error {
	if os.Remove(filepath.Join(topDir, "fail", verb+"-"+plugin)) == nil {
		return fmt.Errorf("the runtime made no %s of %s", verb, plugin)
	}
	return nil
}
