package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// composeFile describes two services, of which one has a port of the host.
const composeFile = `services:
  front:
    image: ` + imageName + `
    pull_policy: never
    command: ["serve", "front"]
    ports: ["18086:8080"]
  back:
    image: ` + imageName + `
    pull_policy: never
    command: ["serve", "back"]
`

// composed: what a compose file describes comes up on a network that is made for it, where one service finds the other by its name and the outside finds one by
// its port; so it is once they were stopped and started, and restarted. Then all of it goes, and the network with it.
func composed(t *Trial) error {
	const file = "/run/compose.yaml"
	if err := write(file, composeFile); err != nil {
		return err
	}
	compose := func(verb string, more ...string) error {
		_, err := t.Runtime.(engine).tool(slices.Concat([]string{"compose", "--project-name", "duo", "--file", file, verb}, more)...)
		return err
	}
	err := compose("up", "--detach")
	for _, again := range [][]string{nil, {"stop", "start"}, {"restart"}} {
		for _, verb := range again {
			err = errors.Join(err, compose(verb))
		}
		if err == nil {
			err = eventually(composedWhole)
		}
	}
	return errors.Join(err, compose("down"), unisolated())
}

func composedWhole() error {
	front, back := &Pod{Name: "front"}, &Pod{Name: "back"}
	home, err1 := front.namespace()
	_, err2 := back.namespace()
	address, err3 := front.resolves(back.Name)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	return errors.Join(reachable(front, 18086), answersAt(home, address, back))
}

// resolves is the address that the pod finds under a name, in its file of hosts.
func (p *Pod) resolves(name string) (string, error) {
	text, err := os.ReadFile("/proc/" + p.process() + "/root/etc/hosts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && slices.Contains(words[1:], name) {
			return words[0], nil
		}
	}
	return "", fmt.Errorf("%s: knows no %s:\n%s", p.Name, name, text)
}
