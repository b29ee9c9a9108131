package vrf

import (
	"math"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	Name  string
	Table uint32 // 0: the VRF's own, or the first that nobody uses
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{Name: k.String("vrfname", ""), Table: uint32(k.Large("table", 0, 0, math.MaxUint32))}
	if !plugin.ValidLinkName(c.Name) {
		k.Reject("vrfname", c.Name, "must be the name of a link: "+plugin.LinkNameRule)
		c.Name = ""
	}
	if c.Table == unix.RT_TABLE_MAIN || c.Table == unix.RT_TABLE_LOCAL {
		k.Reject("table", c.Table, "must be none by which all send, as main (254) and local (255)")
	}
	return c, k.Err()
}
