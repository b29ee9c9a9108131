package firewall

import "context"

// Guarded is the group of links (ip-link(8), group) whose router advertisements and redirects a Warden drops: the host's ends of containers on a bridge
// that has the host's gateway on it. The group is given to a link in the request that makes it, and goes with it.
const Guarded = 0x7472

// A Warden is a filter that drops what comes in by links of the group Guarded and would tell neighbours, or the host, which router to use.
type Warden interface {
	// Ward makes the rules for that whole. It is idempotent and cheap where all is there. A kernel that cannot is a fault with code Unsupported.
	Ward(context.Context) error
	// Warded returns nil exactly when Ward would change nothing, else a fault with code Drift.
	Warded(context.Context) error
}
