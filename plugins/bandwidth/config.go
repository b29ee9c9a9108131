package bandwidth

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Config is how fast one container may be, whole and valid. README.md explains each key.
type Config struct {
	Ingress, Egress Limit
	Latency         int            // milliseconds; 0: the reference's
	Unshaped, Only  []netip.Prefix // masked; not both
	Inside          bool           // the interface itself is shaped
}

// Limit is the bound of one direction. The zero Limit is none.
type Limit struct{ Rate, Burst uint64 } // bits a second, bits

// Parse reads the configuration, and complains of all that is wrong with it at once. One of the four keys at the top is all that counts: then the runtime is not
// asked.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	from := k
	if !k.Has("ingressRate") && !k.Has("ingressBurst") && !k.Has("egressRate") && !k.Has("egressBurst") {
		from = k.Object("runtimeConfig").Object("bandwidth")
	}
	c := Config{
		Ingress:  limit(from, "ingressRate", "ingressBurst"),
		Egress:   limit(from, "egressRate", "egressBurst"),
		Latency:  int(k.Int("latency", 0, 0, mostLatency)),
		Unshaped: endpoint.Subnets(k, "unshapedSubnets"),
		Only:     endpoint.Subnets(k, "shapedSubnets"),
		Inside:   k.Bool("shapeInContainer", false),
	}
	if most := uint64(k.Large("maxBurst", 0, 0, mostBurst)); most != 0 {
		if most < 8 {
			k.Reject("maxBurst", most, "must be 0, or 8 bits, a byte, at least")
			most = 8
		}
		c.Ingress.Burst, c.Egress.Burst = min(c.Ingress.Burst, most), min(c.Egress.Burst, most)
	}
	c.Ingress.lasts(k, "ingressRate", "ingressBurst")
	c.Egress.lasts(k, "egressRate", "egressBurst")
	if len(c.Unshaped) > 0 && len(c.Only) > 0 {
		k.Reject("shapedSubnets", k.Raw("shapedSubnets"), "cannot be combined with unshapedSubnets")
	}
	return c, k.Err()
}

// mostBurst is what fits the kernel's numbers, in bits; mostLatency is ten seconds, in milliseconds.
const (
	mostBurst   = 8*math.MaxUint32 + 7
	mostLatency = 10000

	microseconds = 1000000 // of a second
)

func limit(k *keys.Object, rateKey, burstKey string) Limit {
	l := Limit{Rate: uint64(k.Large(rateKey, 0, 0, math.MaxInt64)), Burst: uint64(k.Large(burstKey, 0, 0, mostBurst))}
	switch {
	case l.Rate == 0 && l.Burst == 0:
	case l.Burst == 0:
		k.Reject(burstKey, l.Burst, "must be there, as "+rateKey+" is")
	case l.Rate == 0:
		k.Reject(rateKey, l.Rate, "must be there, as "+burstKey+" is")
	case l.Rate < 8 || l.Burst < 8:
		k.Reject(rateKey, l.Rate, "must be 8 bits a second, a byte, at least, and so must "+burstKey)
	}
	return l
}

// lasts refuses a burst that is over before the kernel's clock of queues has moved: it takes none.
func (l Limit) lasts(k *keys.Object, rateKey, burstKey string) {
	if l.Burst != 0 && l.Burst*microseconds < l.Rate {
		k.Reject(burstKey, l.Burst, fmt.Sprintf("must be a microsecond's worth of %s at least, %d bits, and so must maxBurst", rateKey, l.Rate/microseconds+1))
	}
}
