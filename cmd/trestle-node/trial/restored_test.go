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
	data := m.args[slices.Index(m.args, "--data-dir")+1]
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
