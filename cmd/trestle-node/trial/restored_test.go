package trial

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/test/slack"
)

// told is a Reach that hands on whose blocks it is told.
type told chan string

func (r told) Set(_ context.Context, neighbours []agent.Neighbour) error {
	var names []string
	for _, n := range neighbours {
		names = append(names, n.Node)
	}
	slices.Sort(names)
	r <- fmt.Sprint(names)
	return nil
}

// While agents run etcd is put back to a backup that lacks a host's block. The agent says so, with the remedy, though nobody asks it for anything; what it has
// goes on, and so do the ways to blocks that the backup does not know: their containers run.
func TestRestoredWhileItRuns(t *testing.T) {
	c, dir := startCluster(t, 1), memory(t)
	c.define("pods", small)
	ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
	defer stop()
	s := c.dial("pods", slack.Of(2*time.Second))
	p, ways := placesIn(dir, "n1"), make(told, 100)
	a := start(ctx, t, s, p, ways)
	until(ctx, t, ways, "[n1]")

	m := c.members[0]
	data := m.value("--data-dir")
	m.kill()
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	m.start(t)
	two := openHost(t, s, placesIn(dir, "n2"), "n2")
	for two.Join(ctx, true) != nil && ctx.Err() == nil { // until etcd is there
	}
	claim(t, two)
	until(ctx, t, ways, "[n1 n2]")
	before, err := os.ReadFile(p.Ranges)
	if err != nil {
		t.Fatal(err)
	}

	m.kill()
	m.args[slices.Index(m.args, "--data-dir")+1] = backup
	m.start(t)
	until(ctx, t, a.said, "a backup was restored")
	if err := a.Life.Ready(); err == nil {
		t.Error("it is ready")
	}
	a.stop()
	for len(ways) > 0 {
		if names := <-ways; names != "[n1 n2]" {
			t.Errorf("after the restore it goes by %s", names)
		}
	}
	if after, err := os.ReadFile(p.Ranges); err != nil || string(after) != string(before) {
		t.Errorf("what host-local reads has changed: %s, %v", after, err)
	}
}

// A backup calls a block another's, who gave it back since, and has neither the one that a host claimed later nor what was in doubt. Whoever is asked first, and however
// often, each has what it had in the end, and nothing is opened that the backup alone calls its own.
func TestRestoredNames(t *testing.T) {
	for name, order := range map[string][]int{"the owner first": {0, 1, 0}, "the other first": {1, 0}, "each twice": {0, 0, 1, 1, 0, 1}} {
		t.Run(name, func(t *testing.T) {
			c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
			c.define("pods", small)
			s := c.dial("pods", slack.Of(5*time.Second))
			hosts := []*agent.Host{openHost(t, s, placesIn(dir, "n1"), "n1"), openHost(t, s, placesIn(dir, "n2"), "n2")}
			join(t, hosts[0])
			join(t, hosts[1])
			moved, later, own := claim(t, hosts[0]), claim(t, hosts[0]), claim(t, hosts[1])
			doubt := hosts[1].Ledger.Content // n2 had asked for what n1 has: nobody answered
			var err error
			if doubt.State, _, err = doubt.State.Claim(later, "in doubt"); err == nil {
				err = hosts[1].Ledger.Keep(ctx, doubt)
			}
			if err == nil {
				_, err = c.client().Delete(ctx, "/cni/pods/block/"+later.String())
			}
			if err != nil {
				t.Fatal(err)
			}
			c.put(ctx, "/cni/pods/block/"+moved.String(), `{"node": "n2", "claim": "given back since"}`)
			frozen := small
			frozen.Frozen = true
			c.define("pods", frozen)
			var lost []pool.ID
			for n, i := range order {
				lost, err = hosts[i].Restored(ctx)
				if wanted := name == "the owner first" && n == 0 || name == "each twice" && n < 2; err != nil || (len(lost) > 0) != wanted {
					t.Errorf("call %d, of n%d: lost %v, %v", n, i+1, lost, err)
				}
			}
			for i, want := range [][]pool.ID{{moved, later}, {own}} {
				has := hosts[i].Ledger.State.Opened()
				slices.SortFunc(want, pool.ID.Compare)
				if !slices.Equal(has, want) || len(hosts[i].Ledger.State.Blocks) != len(want) {
					t.Errorf("n%d has %+v, and had %v", i+1, hosts[i].Ledger.State.Blocks, want)
				}
			}
		})
	}
}

// Somebody deletes a block's key while its host's agent runs: nothing more is handed out of it, another one is claimed, and the agent says what is to be done.
func TestBlockTakenAway(t *testing.T) {
	c, dir := startCluster(t, 1), memory(t)
	c.define("pods", small)
	ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
	defer stop()
	s := c.dial("pods", slack.Of(2*time.Second))
	p := placesIn(dir, "n1")
	a := start(ctx, t, s, p, nil)
	until(ctx, t, a.said, `"well"`)
	content, err := ledger.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	key := protocol.BlockKey(content.State.Blocks[0].ID)
	if _, err := s.Do(ctx, protocol.Request{Verb: protocol.GiveBack, Delete: &key}); err != nil {
		t.Fatal(err)
	}
	c.define("pods", small) // it looks when something is said of the pool
	until(ctx, t, a.said, "is not this host's any more")
	until(ctx, t, a.said, "claimed block")
	a.stop()
}

// until waits for a line that has this in it.
func until(ctx context.Context, t *testing.T, from chan string, text string) {
	t.Helper()
	for {
		select {
		case line := <-from:
			if strings.Contains(line, text) {
				return
			}
			t.Log(line)
		case <-ctx.Done():
			t.Fatalf("%q was never said", text)
		}
	}
}
