package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// runtime VERB CONFLIST CONTAINER [OPTION=value...]: what a container runtime does with a network, through libcni and its cache in
// /var/lib/cni. The container is as for cni, "-" where there is none (gc, status). Options:
//
//	ifname=eth1             the interface, eth0 without it
//	netns=PATH              the namespace, may be empty
//	caps={...}              capability arguments, as JSON
//	args=K=V;K=V            CNI_ARGS
//	valid=c1/eth0,c2/eth0   gc: the attachments that are alive; valid= none of them; absent, the runtime does not say
func runtimeCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, false, "runtime VERB CONFLIST CONTAINER [OPTION=value...]", len(args) > 2)
	list, err := libcni.ConfListFromFile(ts.MkAbs(args[1]))
	ts.Check(err)
	call, err := newCall(args[2], args[3:])
	ts.Check(err)
	cni := libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil)
	result, err := call.do(cni, args[0], list)
	if result != nil {
		ts.Check(result.PrintTo(ts.Stdout()))
	}
	if err != nil {
		fmt.Fprintln(ts.Stderr(), err)
	}
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	case err == nil && neg:
		ts.Fatalf("unexpected success")
	}
}

// call is one call of a runtime.
type call struct {
	conf libcni.RuntimeConf
	gc   *libcni.GCArgs
}

func newCall(container string, options []string) (*call, error) {
	c := &call{conf: libcni.RuntimeConf{ContainerID: container, NetNS: netnsDir + container, IfName: "eth0"}}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "ifname":
			c.conf.IfName = value
		case "netns":
			c.conf.NetNS = value
		case "args":
			for pair := range strings.SplitSeq(value, ";") {
				key, text, _ := strings.Cut(pair, "=")
				c.conf.Args = append(c.conf.Args, [2]string{key, text})
			}
		case "caps":
			if err := json.Unmarshal([]byte(value), &c.conf.CapabilityArgs); err != nil {
				return nil, fmt.Errorf("caps: %w", err)
			}
		case "valid":
			c.gc = &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
			for id := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' }) {
				containerID, ifName, _ := strings.Cut(id, "/")
				c.gc.ValidAttachments = append(c.gc.ValidAttachments, types.GCAttachment{ContainerID: containerID, IfName: ifName})
			}
		default:
			return nil, fmt.Errorf("%s: unknown option", name)
		}
	}
	return c, nil
}

func (c *call) do(cni *libcni.CNIConfig, verb string, list *libcni.NetworkConfigList) (types.Result, error) {
	ctx := context.Background()
	switch verb {
	case "add":
		return cni.AddNetworkList(ctx, list, &c.conf)
	case "del":
		return nil, cni.DelNetworkList(ctx, list, &c.conf)
	case "check":
		return nil, cni.CheckNetworkList(ctx, list, &c.conf)
	case "gc":
		return nil, cni.GCNetworkList(ctx, list, c.gc)
	case "status":
		return nil, cni.GetStatusNetworkList(ctx, list)
	}
	return nil, fmt.Errorf("%s: unknown verb", verb)
}
