package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// Machine is how a kubelet tells this machine from another.
type Machine struct {
	Boot string // the kernel's name of this boot
	UUID string // the board's, or what the hypervisor gave it; "": it has none that we may read
}

// ThisMachine is the one that we run on.
func ThisMachine() (m Machine, err error) {
	if text, err := procfile.Read("/sys/class/dmi/id/product_uuid"); err == nil {
		m.UUID = strings.TrimSpace(string(text))
	}
	m.Boot, err = ledger.Boot()
	return m, err
}

// calm is for how long a Node has to say what this machine is, after it said that it is another: two kubelets of one name write over each other every ten
// seconds, unless told otherwise.
const calm = time.Minute

// identity is what a host has found out about whose machine its Node is. Two of one name would hand out the same addresses, and nothing but their kubelets'
// reports tells them apart.
type identity struct {
	Machine
	was     bool      // the Node was this boot
	doubted time.Time // when it was another machine the last time; zero: never
}

// own refuses a Node that is another machine. No boot comes after the one that runs here: a Node that was this boot, and is another, is somebody else's. One that
// never was may be this machine before it rebooted, of which its kubelet has not told yet, unless its UUID says otherwise. Where no kubelet reports, nobody knows.
func (i *identity) own(n kube.Node, now time.Time) error {
	reports := n.Boot != "" && i.Boot != ""
	ours := reports && strings.EqualFold(n.Boot, i.Boot)
	other := n.UUID != "" && i.UUID != "" && !strings.EqualFold(n.UUID, i.UUID)
	i.was = i.was || ours
	switch {
	case !reports:
		return nil
	case !ours && !i.was && !other:
		return fault.New(fault.TryLater, "does its kubelet run?", "node %s: is boot %s of this machine, which has rebooted since", n.Name, n.Boot)
	case !ours:
		i.doubted = now
		return i.refuse(n.Name, fmt.Sprintf("is another machine (boot %s, UUID %s)", n.Boot, n.UUID))
	case !i.doubted.IsZero() && now.Sub(i.doubted) < calm:
		return i.refuse(n.Name, fmt.Sprintf("was another machine within %v", calm))
	}
	return nil
}

func (i *identity) refuse(name, what string) error {
	return fault.New(fault.Taken, "two machines have one name: end one of them, and register it anew under a name of its own (kubelet --hostname-override)",
		"node %s: %s, and here is boot %s, UUID %s", name, what, i.Boot, i.UUID)
}
