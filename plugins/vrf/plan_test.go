package vrf

import (
	"testing"

	"github.com/trestle-cni/trestle/test/golden"
)

var update = golden.Update()

// TestPlans shows for each key, and each awkward result, the plan that comes of it.
func TestPlans(t *testing.T) { golden.Plans(t, update, Kind()) }

func TestKeysAreDocumented(t *testing.T) { golden.Documented(t) }
