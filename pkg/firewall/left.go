package firewall

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// LifeSign begins what stands, in the ledgers, in the place of an owner's names where they tell a claim's Life.
const LifeSign = "life "

// A Rememberer is a filter that says at little cost in which roles an owner holds anything: mostly in none.
type Rememberer interface {
	RolesOf(ctx context.Context, o owner.Owner) ([]Role, error)
}

// A Restorer is a filter that takes back what a Hold has made in a role that is shared, and nothing that the owner had there before.
type Restorer interface {
	// Restore takes back what the last Hold has made for the owner in the role. It says false where he had nothing before, so that a Drop is as good.
	Restore(ctx context.Context, o owner.Owner, r Role) (done bool, err error)
}

// A Shedder is a filter with rules that no other suite of plugins has under the same names, so that an owner's can go, and what another suite made for the same
// names since stays.
type Shedder interface {
	// Relics lists who holds something in the role by such rules.
	Relics(ctx context.Context, r Role, network [8]byte) ([]Holder, error)
	// Shed drops what the owner holds by them.
	Shed(ctx context.Context, o owner.Owner, r Role) error
}
