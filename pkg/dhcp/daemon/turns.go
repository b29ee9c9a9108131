package daemon

import (
	"net/netip"
	"sync"
	"time"
)

// mostAsked is how many leases one server is asked about at the same time. After a daemon was away all are due at once; a server's socket holds about a hundred
// messages, and what it loses is asked again when half of the time is over that is left.
const mostAsked = 32

// turns are the places of those who ask servers for more time. Each server has its own: one that answers nobody keeps nobody from another.
type turns struct {
	sync.Mutex
	at map[netip.Addr]*queue
}

type queue struct {
	taken   int
	waiting []*turn
}

// turn is of who waits for a place, and until when it is wanted.
type turn struct {
	by   time.Duration
	come chan struct{}
}

func newTurns() *turns { return &turns{at: make(map[netip.Addr]*queue)} }

// take waits for a place at the server. Who needs it first has it first.
func (t *turns) take(server netip.Addr, by time.Duration) (leave func()) {
	if mine := t.queue(server, by); mine != nil {
		<-mine.come
	}
	return func() { t.leave(server) }
}

// queue takes a place where there is one, else one in the queue.
func (t *turns) queue(server netip.Addr, by time.Duration) *turn {
	t.Lock()
	defer t.Unlock()
	q := t.at[server]
	if q == nil {
		q = new(queue)
		t.at[server] = q
	}
	if q.taken < mostAsked {
		q.taken++
		return nil
	}
	mine := &turn{by, make(chan struct{})}
	q.waiting = append(q.waiting, mine)
	return mine
}

// leave gives the place to the next.
func (t *turns) leave(server netip.Addr) {
	t.Lock()
	defer t.Unlock()
	q := t.at[server]
	last := len(q.waiting) - 1
	if last < 0 {
		if q.taken--; q.taken == 0 {
			delete(t.at, server)
		}
		return
	}
	first := 0
	for i, other := range q.waiting {
		if other.by < q.waiting[first].by {
			first = i
		}
	}
	close(q.waiting[first].come)
	q.waiting[first] = q.waiting[last]
	q.waiting = q.waiting[:last]
}
