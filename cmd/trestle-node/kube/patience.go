package kube

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// usual is for how long a server may be silent that owes an answer. However long a list is, something of it comes all the time.
const usual = 30 * time.Second

// answer is one that a server owes: when nothing of it comes for too long the request is ended. client-go waits as long as the connection lives.
type answer struct {
	timer    *time.Timer
	patience time.Duration
}

// await is for a request with that context, which ends with the one that it is of. Late is told why it was ended before.
func (c *Cluster) await(ctx context.Context, late func(error)) (context.Context, answer) {
	ctx, end := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.patience, func() {
		if ctx.Err() != nil { // something came at the same time
			return
		}
		err := fmt.Errorf("%s: not a word for %v", c.host, c.patience)
		late(err)
		end(err)
	})
	context.AfterFunc(ctx, func() { timer.Stop() })
	return ctx, answer{timer, c.patience}
}

// hears notes that something of it has come.
func (a answer) hears() { a.timer.Reset(a.patience) }

// whole notes that nothing is owed any more, and tells it.
func (a answer) whole(heard func(error)) {
	a.timer.Stop()
	heard(nil)
}

// cause is why a request has failed: what client-go says of one that we have ended is not it.
func (a answer) cause(ctx context.Context, err error) error {
	if ctx.Err() == context.Canceled && context.Cause(ctx) != context.Canceled {
		return context.Cause(ctx)
	}
	return err
}

// read reads the text of it.
func (a answer) read(text io.Reader) io.Reader { return heard{text, a} }

type heard struct {
	io.Reader
	answer
}

func (h heard) Read(into []byte) (int, error) {
	n, err := h.Reader.Read(into)
	h.hears()
	return n, err
}

// stream is a watch whose context ends with it.
type stream struct {
	watch.Interface
	end context.CancelFunc
}

// Stop ends it.
func (s stream) Stop() {
	s.end()
	s.Interface.Stop()
}

// last says whether an event is the last of those that tell of all Nodes.
func last(e watch.Event) bool {
	o, is := e.Object.(*object)
	return e.Type == watch.Bookmark && is && o.Metadata.Annotations.End != ""
}
