package hostlocal

import (
	"context"
	"errors"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// status says whether an ADD could reserve addresses now. A full range set is a line in the log and no error by default:
// containerd makes a node of which STATUS fails unready, and its running pods are evicted then.
func status(ctx context.Context, r *plugin.Request) error {
	c, err := parse(r)
	if err == nil {
		_, err = readResolvConf(c.resolvConf)
	}
	if err != nil {
		return err
	}
	if err := ipam.Usable(c.dataDir, r.Network); err != nil {
		return noService(err)
	}
	s, err := existing(ctx, r, c)
	if err != nil {
		return noService(err)
	}
	err = room(r, &c, s)
	if s != nil {
		err = errors.Join(err, s.Close())
	}
	return err
}

// room says whether there are ranges, and an address in them; where there is no store nothing is taken.
func room(r *plugin.Request, c *config, s *ipam.Store) error {
	if err := c.readRanges(r); err != nil {
		return noService(err)
	}
	if s == nil {
		return nil
	}
	return reportFull(r, *c, s)
}

// reportFull tells of range sets without a free address. Only where a full one makes the node unready is it worth the reading of
// the set's reservations to find out that an ADD would succeed all the same, by taking an address from the dead.
func reportFull(r *plugin.Request, c config, s *ipam.Store) error {
	for i, set := range c.sets {
		_, _, err := s.Free(set, s.Last(i))
		if err == nil {
			continue
		}
		if fault.Code(err) != fault.Exhausted {
			return noService(err)
		}
		if !c.fullIsDown {
			r.Logf("%v", err)
			continue
		}
		if dead, deadErr := s.Dead(set); !dead {
			return noService(errors.Join(err, deadErr))
		}
	}
	return nil
}

func noService(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.New(fault.NoService, fault.Hint(err), "%w", err)
}
