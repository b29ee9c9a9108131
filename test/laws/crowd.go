package laws

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/snapshot"
)

// Together is law 8: N ADDs at the same time, N being World.Crowd, on a virgin host end in the state of N ADDs one after the other. Which
// container got which address, and the MACs, are the luck of the draw; everything else is the same, and so is the list of the addresses
// given.
func Together(w *World) error {
	n := w.Crowd
	// Without the first one, which may ask for an address by name: where the search goes on then depends on who came first.
	containers := []Container{w.other}
	for len(containers) < n {
		containers = append(containers, w.container(len(containers)+1))
	}
	var states []string
	for round := range max(1, w.Rounds) {
		began := time.Now()
		state, results, err := w.crowd(containers, w.together)
		if err != nil {
			return fmt.Errorf("%d ADDs at the same time: %w", n, err)
		}
		states = append(states, state)
		added := time.Since(began)
		if err := w.disperse(containers, results); err != nil {
			return err
		}
		if w.Rounds > 1 {
			w.Logf("round %d: %d containers, %.0f s to add and look, %.0f s in all", round+1, n, added.Seconds(), time.Since(began).Seconds())
		}
	}
	inTurn, _, err := w.crowd(containers, w.inTurn)
	if err != nil {
		return fmt.Errorf("%d ADDs one after the other: %w", n, err)
	}
	for i, together := range states {
		if diff := snapshot.Diff(inTurn, together); diff != "" {
			return fmt.Errorf("%d ADDs one after the other (-) and at the same time (+), round %d:\n%s", n, i, diff)
		}
	}
	return nil
}

// crowd adds all containers in the way given, and describes the state.
func (w *World) crowd(containers []Container, add func([]Container) ([][]byte, error)) (state string, results [][]byte, err error) {
	if results, err = add(containers); err != nil {
		return "", nil, err
	}
	var paths []string
	for _, c := range containers {
		paths = append(paths, c.Netns)
	}
	state, err = w.anonymous(snapshot.Take(w, paths...), results)
	return state, results, err
}

// disperse makes the host as good as new. The addresses go round, and the next crowd must begin where the first one began.
func (w *World) disperse(containers []Container, results [][]byte) error {
	var all []error
	errs := make(chan error)
	for i, c := range containers {
		go func() { errs <- w.del(w.process, call{of: c, prev: results[i]}) }()
	}
	for range containers {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("%d DELs at the same time: %w", len(containers), err)
	}
	if w.Speaks("GC") {
		if err := w.gc(); err != nil {
			return err
		}
	}
	return os.RemoveAll("/var/lib/cni")
}

// process runs the plugin as a program: the built one or, with a fault planted, the caller's.
func (w *World) process(c call) ([]byte, error) {
	if w.Plant == nil {
		return w.asProcess(c, w.built(c))
	}
	return w.asProcess(c, w.Program(w.Plugins[c.member].Type(), Planted))
}

// Planted is the name of the rewrite that stands for World.Plant in another process.
const Planted = "planted"

func (w *World) inTurn(containers []Container) (results [][]byte, err error) {
	for _, c := range containers {
		result, err := w.add(w.process, c)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

func (w *World) together(containers []Container) ([][]byte, error) {
	results := make([][]byte, len(containers))
	errs := make(chan error)
	for i, c := range containers {
		go func() {
			var err error
			results[i], err = w.add(w.process, c)
			errs <- err
		}()
	}
	var all []error
	for range containers {
		all = append(all, <-errs)
	}
	return results, errors.Join(all...)
}

// anonymous replaces what was drawn for a container (its addresses, the MACs) by names that say whose it is, and lists the addresses.
func (w *World) anonymous(state string, results [][]byte) (string, error) {
	names := make(map[string]string)
	var given []string
	for i, raw := range results {
		result, err := w.parse(raw)
		if err != nil {
			return "", err
		}
		for j, ip := range result.IPs {
			names[ip.Address.IP.String()] = fmt.Sprintf("<address %d of %d>", j, i)
			state = strings.ReplaceAll(state, encoded(ip.Address.IP), names[ip.Address.IP.String()])
			given = append(given, "given "+ip.Address.IP.String()+"\n")
		}
		for _, link := range result.Interfaces {
			mac := fmt.Sprintf("<mac of %s of %d>", link.Name, i)
			if link.Sandbox == "" {
				mac = fmt.Sprintf("<mac of %s>", link.Name)
			}
			hex := strings.ReplaceAll(link.Mac, ":", "")
			names[link.Mac], names[hex+"0000"] = mac, mac // padded to 8 bytes in a key of several parts
		}
	}
	delete(names, "")
	if !w.Speaks("CHECK") {
		state = withoutMACs(state) // results had none then
	}
	lines := append(strings.SplitAfter(unplaced(renamed(unlisted(state), names)), "\n"), given...)
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

// unlisted leaves out the MACs of links that no result lists: the bridge's ends of gateways on VLANs.
func unlisted(state string) string {
	lines := strings.SplitAfter(state, "\n")
	for i, line := range lines {
		if strings.Contains(line, `alias "trestle vlan port"`) && strings.Contains(line, " master ") {
			lines[i] = withoutMACs(line)
		}
	}
	return strings.Join(lines, "")
}

// encoded is an address as a rule of iptables-nft has it in a snapshot.
func encoded(ip net.IP) string {
	if four := ip.To4(); four != nil {
		ip = four
	}
	return base64.StdEncoding.EncodeToString(ip)
}

// unplaced leaves out the places of rules in those chains of iptables in which each container has its own, which come in the order of
// the ADDs.
func unplaced(state string) string {
	lines := strings.SplitAfter(state, "\n")
	for i, line := range lines {
		for _, chain := range []string{" nat POSTROUTING ", " nat CNI-HOSTPORT-DNAT ", " filter CNI-FORWARD ", " filter TRESTLE-PUBLISHED "} {
			if before, after, found := strings.Cut(line, chain); found && strings.Contains(before, " rule ip") {
				lines[i] = before + chain + after[len("000"):]
			}
		}
	}
	return strings.Join(lines, "")
}

// renamed replaces whole words of letters, digits, dots and colons.
func renamed(text string, names map[string]string) string {
	var b strings.Builder
	inWord := func(r rune) bool {
		return r == '.' || r == ':' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	for len(text) > 0 {
		end := strings.IndexFunc(text, func(r rune) bool { return !inWord(r) })
		switch {
		case end < 0:
			end = len(text)
		case end == 0:
			end = 1
		}
		word := text[:end]
		if name, ok := names[word]; ok {
			word = name
		}
		b.WriteString(word)
		text = text[end:]
	}
	return b.String()
}

// sameShape compares states of hosts whose MACs were drawn separately.
func sameShape(before, now, after string) error {
	if diff := snapshot.Diff(withoutMACs(before), withoutMACs(now)); diff != "" {
		return fmt.Errorf("%s: the state is not as it was:\n%s", after, diff)
	}
	return nil
}

func withoutMACs(state string) string {
	words := strings.Split(state, " ")
	for i := range words {
		if i > 0 && words[i-1] == "mac" {
			words[i] = "*"
		}
	}
	return strings.Join(words, " ")
}
