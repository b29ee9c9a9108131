package nft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// In a crowd in which each sees the others commit before him, nobody tries in vain more often than he hurries: the rest is done in turn. Without
// that, sixty-four calls make two thousand attempts, and on a busy machine some give up.
func TestCrowdTakesTurns(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		const crowd = 32
		must(t, open(t).Ground(t.Context()))
		var all [hurried]sync.WaitGroup // who is in the attempt; one gets through
		for round := range all {
			all[round].Add(crowd - round)
		}
		dir := t.TempDir()
		var attempts atomic.Int32
		errs := make(chan error)
		for i := range crowd {
			f := Open().Remember(dir)
			t.Cleanup(func() { must(t, f.Close()) })
			go func() {
				tries := 0
				errs <- f.amend(t.Context(), inet(), keep, func() ([]change, error) {
					attempts.Add(1)
					if tries++; tries <= hurried {
						all[tries-1].Done()
						all[tries-1].Wait()
					} else if !taken(t, dir) {
						t.Error("an attempt out of turn")
					}
					return []change{func(c *nftables.Conn) error {
						c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: fmt.Sprint("t", i)})
						return nil
					}}, nil
				})
			}()
		}
		for range crowd {
			must(t, <-errs)
		}
		want := int32(crowd - hurried)
		for round := range int32(hurried) {
			want += crowd - round
		}
		if got := attempts.Load(); got != want {
			t.Errorf("%d attempts of %d, want %d", got, crowd, want)
		}
	})
}

// taken says whether it is somebody's turn.
func taken(t *testing.T, dir string) bool {
	file, err := os.OpenFile(filepath.Join(dir, "nftables.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Error(err)
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}
