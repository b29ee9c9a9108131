package lease

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/keys"
)

// Options is what a network's configuration says to a DHCP server, and of its answer.
type Options struct {
	Provide  []Option // in order: of two of one kind the later counts
	Request  []uint8
	Priority uint32 // the metric of all routes; 0: the kernel's
	MTU      bool
	ClientID string // what names the client: container, mac or pod
}

// Option is one of RFC 2132, as bytes.
type Option struct {
	Code  uint8
	Value string
}

// The kinds of options that are looked at here, RFC 2132, 3397 and 3442.
const (
	subnetMask      = 1
	routers         = 3
	nameServers     = 6
	hostName        = 12
	domainName      = 15
	interfaceMTU    = 26
	staticRoutes    = 33
	vendorClass     = 60
	clientID        = 61
	userClass       = 77
	searchList      = 119
	classlessRoutes = 121
)

// names are what the reference calls options.
var names = map[string]uint8{"dhcp-client-identifier": clientID, "subnet-mask": subnetMask, "routers": routers, "host-name": hostName,
	"user-class": userClass, "vendor-class-identifier": vendorClass}

// Read reads the section ipam of a configuration, with CNI_ARGS as they were set. The object has the complaints.
func Read(ipam *keys.Object, args string) (o Options) {
	o.Priority = uint32(ipam.Int("priority", 0, 0, 1<<31-1))
	o.MTU = ipam.Bool("mtu", false)
	o.ClientID = ipam.String("clientID", "")
	if !slices.Contains([]string{"", "container", "mac", "pod"}, o.ClientID) {
		ipam.Reject("clientID", o.ClientID, "must be container, mac or pod")
	}
	o.provide(ipam, Arguments(args))
	defaults := []uint8{subnetMask, routers, nameServers, domainName, searchList, staticRoutes, classlessRoutes}
	if o.MTU {
		defaults = append(defaults, interfaceMTU)
	}
	for _, entry := range ipam.Objects("request") {
		if entry.Bool("skipDefault", false) {
			defaults = nil
		}
		if entry.Has("option") {
			o.Request = append(o.Request, code(entry))
		}
	}
	o.Request = append(defaults, o.Request...)
	return o
}

// provide reads what the server is told: of an entry with both, the argument and, where that is not there, the value.
func (o *Options) provide(ipam *keys.Object, args map[string]string) {
	for _, entry := range ipam.Objects("provide") {
		given, key := Option{code(entry), entry.String("value", "")}, "value"
		if from := entry.String("fromArg", ""); from != "" && args[from] != "" {
			given.Value, key = args[from], "fromArg"
		}
		if len(given.Value) > longest {
			entry.Reject(key, given.Value, fmt.Sprintf("must have %d bytes at most", longest))
		}
		if given.Value != "" {
			o.Provide = append(o.Provide, given)
		}
	}
}

const longest = 255 // bytes of an option

// code reads the kind of an option: a number, or one of the names.
func code(entry *keys.Object) uint8 {
	text := strings.Trim(string(entry.Raw("option")), `"`)
	if known, is := names[text]; is {
		return known
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		entry.Reject("option", text, "must be a number from 0 to 255, or one of "+strings.Join(optionNames(), ", "))
	}
	return uint8(n)
}

func optionNames() (list []string) {
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Arguments reads CNI_ARGS as far as they can be read.
func Arguments(text string) map[string]string {
	args := make(map[string]string)
	for _, pair := range strings.Split(text, ";") {
		if key, value, is := strings.Cut(pair, "="); is {
			args[key] = value
		}
	}
	return args
}
