package call

import (
	"net"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// The numbers of our types, in the order of kinds.
const (
	requestID = firstID + iota
	responseID
	argsID
	nothingID
	resultID
	ipsID
	ipID
	netID
	routesID
	routeID
	dnsID
	textsID
)

var kinds = []kind{
	{name: "Request", members: []member{{"ServiceMethod", stringID}, {"Seq", uintID}}},
	{name: "Response", members: []member{{"ServiceMethod", stringID}, {"Seq", uintID}, {"Error", stringID}}},
	{name: "CmdArgs", members: []member{{"ContainerID", stringID}, {"Netns", stringID}, {"IfName", stringID}, {"Args", stringID}, {"Path", stringID},
		{"NetnsOverride", stringID}, {"StdinData", bytesID}}},
	{name: ""},
	{name: "Result", members: []member{{"CNIVersion", stringID}, {"IPs", ipsID}, {"Routes", routesID}, {"DNS", dnsID}}},
	{name: "[]*types100.IPConfig", elem: ipID},
	{name: "IPConfig", members: []member{{"Address", netID}, {"Gateway", bytesID}}},
	{name: "IPNet", members: []member{{"IP", bytesID}, {"Mask", bytesID}}},
	{name: "[]*types.Route", elem: routeID},
	{name: "Route", members: []member{{"Dst", netID}, {"GW", bytesID}, {"Priority", intID}, {"Scope", intID}}},
	{name: "DNS", members: []member{{"Nameservers", textsID}, {"Domain", stringID}, {"Search", textsID}}},
	{name: "[]string", elem: stringID},
}

func (a Args) object() object {
	o := object{}
	for name, text := range map[string]string{"ContainerID": a.ContainerID, "Netns": a.Netns, "IfName": a.IfName, "Args": a.Args, "Path": a.Path, "NetnsOverride": a.NetnsOverride} {
		o.set(name, text)
	}
	o.bytes("StdinData", a.StdinData)
	return o
}

func argsOf(o object) Args {
	stdin, _ := o["StdinData"].([]byte)
	return Args{o.text("ContainerID"), o.text("Netns"), o.text("IfName"), o.text("Args"), o.text("Path"), o.text("NetnsOverride"), stdin}
}

func (o object) set(name, text string) {
	if text != "" {
		o[name] = text
	}
}

func (o object) bytes(name string, b []byte) {
	if len(b) > 0 {
		o[name] = b
	}
}

func (o object) number(name string, n int) {
	if n != 0 {
		o[name] = int64(n)
	}
}

func (o object) list(name string, list []any) {
	if len(list) > 0 {
		o[name] = list
	}
}

func (o object) text(name string) string { s, _ := o[name].(string); return s }

func (o object) within(name string) object { inner, _ := o[name].(object); return inner }

func (o object) int(name string) int { n, _ := o[name].(int64); return int(n) }

func (o object) raw(name string) []byte { b, _ := o[name].([]byte); return b }

func resultObject(r *types100.Result) object {
	o := object{"DNS": dnsObject(r.DNS)}
	o.set("CNIVersion", r.CNIVersion)
	var ips, routes []any
	for _, ip := range r.IPs {
		one := object{"Address": netObject(ip.Address)}
		one.bytes("Gateway", ip.Gateway)
		ips = append(ips, one)
	}
	for _, route := range r.Routes {
		one := object{"Dst": netObject(route.Dst)}
		one.bytes("GW", route.GW)
		one.number("Priority", route.Priority)
		if route.Scope != nil {
			one.number("Scope", *route.Scope)
		}
		routes = append(routes, one)
	}
	o.list("IPs", ips)
	o.list("Routes", routes)
	return o
}

func netObject(n net.IPNet) object {
	o := object{}
	o.bytes("IP", n.IP)
	o.bytes("Mask", n.Mask)
	return o
}

func dnsObject(d types.DNS) object {
	o := object{}
	o.set("Domain", d.Domain)
	for name, texts := range map[string][]string{"Nameservers": d.Nameservers, "Search": d.Search} {
		var list []any
		for _, text := range texts {
			list = append(list, text)
		}
		o.list(name, list)
	}
	return o
}

// fill puts into a result what the other end tells.
func fill(r *types100.Result, o object) {
	if version := o.text("CNIVersion"); version != "" {
		r.CNIVersion = version
	}
	for _, ip := range o.objects("IPs") {
		r.IPs = append(r.IPs, &types100.IPConfig{Address: netOf(ip.within("Address")), Gateway: ip.raw("Gateway")})
	}
	for _, one := range o.objects("Routes") {
		route := &types.Route{Dst: netOf(one.within("Dst")), GW: one.raw("GW"), Priority: one.int("Priority")}
		if scope := one.int("Scope"); scope != 0 {
			route.Scope = &scope
		}
		r.Routes = append(r.Routes, route)
	}
	dns := o.within("DNS")
	r.DNS = types.DNS{Nameservers: dns.texts("Nameservers"), Domain: dns.text("Domain"), Search: dns.texts("Search"), Options: dns.texts("Options")}
}

func netOf(o object) net.IPNet { return net.IPNet{IP: o.raw("IP"), Mask: o.raw("Mask")} }

func (o object) objects(name string) (all []object) {
	list, _ := o[name].([]any)
	for _, item := range list {
		inner, _ := item.(object)
		all = append(all, inner)
	}
	return all
}

func (o object) texts(name string) (all []string) {
	list, _ := o[name].([]any)
	for _, item := range list {
		text, _ := item.(string)
		all = append(all, text)
	}
	return all
}
