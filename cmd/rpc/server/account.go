package server

import (
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// budget is memory that is shared by all calls. It is used concurrently.
type budget struct {
	most int64
	used atomic.Int64
}

// take takes n bytes, unless there would be more taken than there are.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.most {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// account is what one connection makes the node hold: the answers that it has not
// taken. It is used concurrently.
type account struct {
	net.Addr // of the other side
	conn     *conn
	bytes    *budget // of all connections

	opened time.Time
	known  atomic.Bool // a call came on it from somebody whom the node knows

	// receiving has room for a few calls whose message is not whole yet.
	receiving chan struct{}

	mu     sync.Mutex
	unread int64     // of bytes, not given back yet
	moved  time.Time // when the last answer was taken, or the first came to wait
	closed bool
}

// anyBytes as the most of take lets any number through, and only counts it.
const anyBytes = math.MaxInt64

// take counts n bytes of an answer, unless there would be more than most, or more of
// all connections than there may be.
func (a *account) take(n, most int64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return false
	case most == anyBytes:
		a.bytes.used.Add(n)
	case a.unread+n > most || !a.bytes.take(n):
		return false
	}
	if a.unread == 0 {
		a.moved = now
	}
	a.unread += n
	return true
}

// taken tells that the connection has taken n bytes of answers.
func (a *account) taken(n int64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moved = now
	if !a.closed { // else they were given back
		a.unread -= n
		a.bytes.give(n)
	}
}

// close gives back what the connection will never take.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		a.bytes.give(a.unread)
	}
}

// stranger tells whether the connection was opened before a time, and nobody whom the
// node knows has called on it.
func (a *account) stranger(before time.Time) bool { return !a.known.Load() && a.opened.Before(before) }

// stuck tells whether answers wait and none was taken since.
func (a *account) stuck(since time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.closed && a.unread > 0 && a.moved.Before(since)
}
