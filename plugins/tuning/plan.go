package tuning

import (
	"net"
	"regexp"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Plan says what is to be like what, and that the backup comes first. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	t := step.Tuning{Owner: call.Owner, Dir: c.DataDir, IfName: call.IfName, MAC: c.MAC, Promisc: c.Promisc, MTU: c.MTU,
		AllMulti: c.AllMulti, TxQLen: c.TxQLen, Sysctls: c.Sysctls}
	return plan.Plan{
		Footing: []plan.Footing{step.Standing{IfName: call.IfName, Hosts: call.HostEnds()}},
		Steps:   []plan.Step{step.Backup{Tuning: t, Linked: call.Carried()}, step.Tuned{Tuning: t, Expressions: expressions{}}},
		Result:  told(call.Result, call.IfName, c.MAC),
	}, nil
}

// told is the result with the new Ethernet address at every interface of that name, as the reference has it.
func told(result *types100.Result, ifName string, mac net.HardwareAddr) *types100.Result {
	if result == nil || mac == nil {
		return result
	}
	r := *result
	r.Interfaces = nil
	for _, link := range result.Interfaces {
		if link.Name == ifName {
			changed := *link
			changed.Mac = mac.String()
			link = &changed
		}
		r.Interfaces = append(r.Interfaces, link)
	}
	return &r
}

// expressions are those of package regexp.
type expressions struct{}

// Compile compiles one.
func (expressions) Compile(line string) (step.Expression, error) { return regexp.Compile(line) }
