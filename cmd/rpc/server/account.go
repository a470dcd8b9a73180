package server

import (
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// account is what one connection makes the node hold: the answers that it has not
// taken. It is used concurrently.
type account struct {
	net.Addr // of the other side
	conn     *conn
	shares   *shares // of all connections
	text     string  // the address

	opened time.Time
	known  atomic.Bool // a call came on it from somebody whom the node knows, and it is theirs

	// receiving has room for a few calls whose message is not whole yet.
	receiving chan struct{}

	mu     sync.Mutex
	unread int64 // of bytes, not given back yet
	whose  map[*share]int64
	owner  *share    // of the connection itself; nil for a stranger's, and once it is closed
	moved  time.Time // when the last answer was taken, or the first came to wait
	closed bool
}

func newAccount(c *conn, all *shares) *account {
	from := c.Conn.RemoteAddr()
	return &account{
		Addr: from, conn: c, shares: all, text: from.String(), opened: time.Now(),
		receiving: make(chan struct{}, receivers), whose: make(map[*share]int64),
	}
}

// anyBytes as the most of take lets any number through, and only counts it.
const anyBytes = math.MaxInt64

// take counts n bytes of an answer to a caller, unless the connection would have more
// than most, or the caller more than their share. Own is what the call holds besides.
func (a *account) take(who *share, n, own, most int64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return false
	case most == anyBytes:
		a.shares.force(who, someBytes, n)
	case a.unread+n > most || !a.shares.take(who, someBytes, n, own):
		return false
	}
	if a.unread == 0 {
		a.moved = now
	}
	a.unread += n
	a.whose[who] += n
	return true
}

// leaves is how many bytes of answers the connection has not taken.
func (a *account) leaves() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unread
}

// taken tells that the connection has taken n bytes of answers to a caller.
func (a *account) taken(who *share, n int64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moved = now
	if !a.closed { // else they were given back
		a.unread -= n
		if a.whose[who] -= n; a.whose[who] == 0 {
			delete(a.whose, who)
		}
		a.shares.give(who, someBytes, n)
	}
}

// belongs counts the connection as one of the caller's who is the first that the node
// knows on it. It is false if they would have more than they leave for others: then it is
// nobody's, and is closed like those of strangers. Whoever calls on it later takes
// nothing by that: a connection that carries the calls of many is one all the same.
func (a *account) belongs(who *share) bool {
	if a.known.Load() {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.owner != nil { // its calls are about to end, or another call was faster
		return true
	}
	if !a.shares.take(who, someConnections, 1, 0) {
		return false
	}
	a.owner = who
	a.known.Store(true)
	return true
}

// close gives back what the connection will never take, and the connection.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		if a.owner != nil {
			a.shares.give(a.owner, someConnections, 1)
			a.owner = nil
		}
		a.closed = true
		for who, n := range a.whose {
			a.shares.give(who, someBytes, n)
		}
		a.whose = nil
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
