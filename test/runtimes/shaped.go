package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// slow are Kubernetes' annotations, which a runtime turns into the capability bandwidth.
var slow = map[string]string{"kubernetes.io/ingress-bandwidth": "8M", "kubernetes.io/egress-bandwidth": "16M"}

// annotated: a pod's annotations bound it in both directions, on a list with bandwidth in it, and one without them is not bound; nothing of it is left.
func annotated(t *Trial) error {
	content, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	const last = "\n  ]\n}"
	shaped := strings.Replace(string(content), last, `, {"type": "bandwidth", "capabilities": {"bandwidth": true}, "maxBurst": 800000}`+last, 1)
	if shaped == string(content) {
		return errors.New("the list does not end as expected")
	}
	if err := replaceFile(good, shaped); err != nil {
		return err
	}
	err = eventually(func() error { return errors.Join(started(t), calledFor("ADD", "bandwidth")) }) // the daemon has seen the list
	return errors.Join(err, t.bounded(), t.clear(), replaceFile(good, string(content)), started(t))
}

func (t *Trial) bounded() error {
	t.made++
	p := &Pod{Name: fmt.Sprintf("pod%d", t.made), Annotations: slow}
	t.pods = append(t.pods, p)
	if err := t.Run(p); err != nil {
		return err
	}
	if err := serving(p); err != nil {
		return err
	}
	queues, err := program("tc", "qdisc", "show")
	if err != nil {
		return err
	}
	for _, want := range []string{"rate 8Mbit burst 100000b", "rate 16Mbit burst 100000b"} {
		if !strings.Contains(queues, want) {
			err = errors.Join(err, fmt.Errorf("no queue has %s:\n%s", want, queues))
		}
	}
	free, err2 := t.pod(0)
	if err2 == nil {
		err2 = serving(free)
	}
	if queues, _ := program("tc", "qdisc", "show"); strings.Count(queues, "tbf") != 2 {
		err2 = errors.Join(err2, fmt.Errorf("queues beside a pod without annotations:\n%s", queues))
	}
	return errors.Join(err, err2)
}
