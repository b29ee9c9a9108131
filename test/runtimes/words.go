package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// failure is something that goes wrong with a pod's network, and what whoever started the pod has to read of it: what it is about, what is wrong with that,
// and what to do. The list's plugins are written in full; before and after are a shell's.
type failure struct {
	name, plugins, before, after string
	says                         [3]string
}

// longest is what a runtime's user is shown of an error, in bytes, with all that is put in front: the note of an event of Kubernetes (NoteLengthLimit of
// its API); it may be a line of a log, too, so that it has one line.
const longest = 1024

// kubelet is what it puts in front of its runtime's error, in the event that `kubectl describe pod` shows, when it tries for the second time.
const kubelet = "(combined from similar events): Failed to create pod sandbox: "

// worded has each failure happen, and holds that the runtime's user can read all three parts of it where he looks.
func worded(t *Trial) error {
	content, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range failures() {
		if err := f.happen(t); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
	}
	return errors.Join(errors.Join(errs...), replaceFile(good, string(content)), started(t))
}

func (f failure) happen(t *Trial) error {
	list := `{"cniVersion": "1.0.0", "name": "node", "plugins": [` + f.plugins + `]}`
	if err := replaceFile(good, list); err != nil {
		return err
	}
	if _, err := program("sh", "-ec", "CNITOOL="+t.work+"/cnitool; "+f.before); err != nil {
		return err
	}
	said := ""
	happened := errors.Join(eventually(func() (err error) {
		said, err = f.told(t)
		return errors.Join(err, t.clear())
	}))
	t.said = append(t.said, f.name+": "+said)
	_, after := program("sh", "-ec", "CNITOOL="+t.work+"/cnitool; "+f.after)
	return errors.Join(happened, after)
}

// told starts a pod, and returns what its user is told.
func (f failure) told(t *Trial) (string, error) {
	_, err := t.pod(0)
	if err == nil {
		return "", errors.New("the pod started")
	}
	text := strings.TrimSpace(strings.TrimPrefix(err.Error(), "run "+t.pods[len(t.pods)-1].Name+": "))
	text = text[strings.LastIndexByte(text, '\n')+1:] // podman warns of other things before
	if t.traits&Node != 0 {
		text = kubelet + text
	}
	for _, part := range f.says {
		if !strings.Contains(text, part) {
			return text, fmt.Errorf("%q is not in %q", part, text)
		}
	}
	if len(text) > longest {
		return text, fmt.Errorf("%d bytes: %q", len(text), text)
	}
	return text, nil
}
