package server

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/peer"
)

// receivers is how many calls of one connection may be waiting for the rest of their
// message.
const receivers = 16

// listener takes connections while there is room, and keeps an account of each.
type listener struct {
	net.Listener
	s *Server
}

// Accept waits for a connection. One for which there is no room is closed at once:
// its caller sees that, instead of waiting.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if x := l.s.conns.add(c, l.s); x != nil {
			return x, nil
		}
		l.s.o.Logger.Warn("connection refused: there are too many", "remote", c.RemoteAddr().String())
		l.s.o.Observer.Refused(LimitConnections)
		c.Close()
	}
}

// conns are the connections that are open.
type conns struct {
	mu   sync.Mutex
	most int
	open map[*conn]struct{}
}

func (x *conns) add(c net.Conn, s *Server) *conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.open) >= x.most {
		return nil
	}
	n := &conn{Conn: c, of: x}
	n.account = newAccount(n, s.shares)
	x.open[n] = struct{}{}
	return n
}

func (x *conns) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.open)
}

// which finds the connections for which something holds.
func (x *conns) which(holds func(*account) bool) []*conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []*conn
	for c := range x.open {
		if holds(c.account) {
			out = append(out, c)
		}
	}
	return out
}

// conn is one connection. Its remote address carries its account to the calls that
// come on it.
type conn struct {
	net.Conn
	of      *conns
	account *account
	once    sync.Once
}

// RemoteAddr is the address, and the account.
func (c *conn) RemoteAddr() net.Addr { return c.account }

// Close gives back what the connection held.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.account.close()
		c.of.mu.Lock()
		delete(c.of.open, c)
		c.of.mu.Unlock()
	})
	return c.Conn.Close()
}

// accountOf finds the account of the connection that a call came on.
func accountOf(ctx context.Context) *account {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(*account); ok {
			return a
		}
	}
	return nil
}

// watch closes connections that let answers lie, and those of whom nobody knows, until
// stop: either kind would else take the room of others.
func (s *Server) watch(stop <-chan struct{}) {
	tick := time.NewTicker(max(min(s.limits.Lease, s.limits.ConnectTime)/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			since := now.Add(-s.limits.Lease)
			for _, c := range s.conns.which(func(a *account) bool { return a.stuck(since) }) {
				s.o.Logger.Warn("connection closed: it takes no answers", "remote", c.account.String())
				s.o.Observer.Refused(LimitLease)
				c.Close()
			}
			before := now.Add(-s.limits.ConnectTime)
			for _, c := range s.conns.which(func(a *account) bool { return a.stranger(before) }) {
				s.o.Logger.Warn("connection closed: it has not said whose it is", "remote", c.account.String())
				s.o.Observer.Refused(LimitConnectTime)
				c.Close()
			}
		}
	}
}
