package nft

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Unground deletes each table in which nobody holds anything. The one for frames stays as long as a link is guarded by it; the one with the guard of 127.0.0.0/8 stays as long as an interface has
// route_localnet.
func (f *Filter) Unground(ctx context.Context) error {
	defer f.lock()()
	for _, t := range occasional() {
		if _, err := f.unground(ctx, t); err != nil {
			return err
		}
	}
	gone, err := f.unground(ctx, inet())
	if err != nil || !gone {
		return err
	}
	if open, err := routesLocalnet(); err != nil || !open {
		return err
	}
	// Somebody set route_localnet after we had looked, relying on the guard that was still there.
	return f.amend(ctx, inet(), mend, func() ([]change, error) { return nil, nil })
}

// unground deletes the table if it can, and says whether it did.
func (f *Filter) unground(ctx context.Context, t *table) (gone bool, err error) {
	err = f.amend(ctx, t, raze, func() ([]change, error) {
		gone = false
		there, err := f.exists(t)
		if err != nil || !there {
			return nil, err
		}
		held, err := f.dump(t.set(attachments))
		if err != nil {
			return nil, err
		}
		keep := len(held) > 0
		if !keep && t.needed != nil {
			keep, err = t.needed(f)
		}
		if err != nil || keep {
			return nil, err
		}
		gone = true
		return []change{t.demolish}, nil
	})
	return gone, err
}

// reliedOn says whether the table inet trestle is needed though nobody holds anything in it: Ground makes it for every claim, so it stays
// as long as anybody holds something in the other table; and its guard, as long as an interface has route_localnet.
func (f *Filter) reliedOn() (bool, error) {
	held, err := f.dump(bridge().set(attachments))
	if len(held) > 0 || err != nil {
		return true, err
	}
	return routesLocalnet()
}

// routesLocalnet says whether any interface of the namespace takes packets for 127.0.0.0/8 from outside (ip-sysctl, route_localnet).
func routesLocalnet() (found bool, err error) {
	files, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/route_localnet")
	for _, file := range files {
		text, failed := os.ReadFile(file)
		if failed != nil && !errors.Is(failed, fs.ErrNotExist) { // an interface may go meanwhile
			err = failed
		}
		found = found || strings.TrimSpace(string(text)) == "1"
	}
	return found, err
}
