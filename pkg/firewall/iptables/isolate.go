package iptables

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Isolate makes the link a segment.
func (f *Filter) Isolate(ctx context.Context, link string, in firewall.Ingress) (bool, error) {
	return false, nil
}

// Isolated compares.
func (f *Filter) Isolated(ctx context.Context, link string, in firewall.Ingress) error { return nil }

// Rejoin removes.
func (f *Filter) Rejoin(ctx context.Context, used func(string) bool) error { return nil }
