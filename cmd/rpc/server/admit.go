package server

import (
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

// overloadTime is how soon a caller may try again when too many calls are under way.
const overloadTime = 50 * time.Millisecond

// patience is how long a call waits for room to receive its message, where its caller's
// others that are arriving leave none. Those that arrive at all are gone long before.
const patience = time.Second

// admit decides whether a call may go on to send its message. It never waits.
func (c *call) admit(method string) error {
	s := c.s
	if !s.shares.enter(c.lane()) {
		return refused(LimitCalls, wire.Overloadf(overloadTime, "%d calls are under way", s.limits.MaxInFlight))
	}
	c.admitted = true
	s.o.Observer.Started(c.name())
	if anonymous(method) {
		return c.join(c.stranger())
	}
	md, _ := metadata.FromIncomingContext(c.ctx)
	who, err := s.o.Auth.Identify(c.ctx, md)
	if err != nil {
		var ours *wire.Error
		if errors.As(err, &ours) || errors.Is(err, wire.ErrUnauthenticated) || errors.Is(err, wire.ErrDenied) || errors.Is(err, wire.ErrOverloaded) {
			return err
		}
		return fmt.Errorf("%w: %v", wire.ErrUnauthenticated, err)
	}
	if who == nil {
		return wire.ErrUnauthenticated
	}
	c.principal = who
	if err := c.join(c.holder()); err != nil {
		return err
	}
	if c.account != nil && !c.account.belongs(c.share) {
		return c.full(overloadTime, someConnections, 1)
	}
	if c.rule == nil {
		return fmt.Errorf("%w: no such method", wire.ErrUnsupported)
	}
	if s.stopping() {
		return wire.ErrDraining
	}
	if c.rule.admin && !who.May(VerbAdmin, "") {
		return fmt.Errorf("%w: %s may not %s the node", wire.ErrDenied, who.Name(), VerbAdmin)
	}
	return s.rates.begin(callerRate+who.Name(), who.Rates())
}

// join counts the call as one of a caller's.
func (c *call) join(holder string) error {
	if c.share = c.s.shares.join(holder, c.lane()); c.share == nil {
		return refused(LimitCallsShare, wire.Overloadf(overloadTime, "%s has as many calls under way as are left for others", holder))
	}
	return nil
}

// holder is whose share the call takes of. Where nobody says who they are, each
// connection is somebody.
func (c *call) holder() string {
	if name := c.principal.Name(); name != Anybody || c.account == nil {
		return name
	}
	return c.account.text
}

// stranger is whose share a call takes of whom nobody asks for a name: a machine's.
func (c *call) stranger() string {
	if c.account == nil {
		return Anybody
	}
	host, _, err := net.SplitHostPort(c.account.text)
	if err != nil {
		return c.account.text
	}
	return host
}

// full is why a caller does not get n of a resource. Others go on meanwhile, so that of
// two reasons which are as good it may be the other one that is counted.
func (c *call) full(after time.Duration, r resource, n int64) error {
	held, used, most := c.s.shares.state(c.share, r)
	limit, share := r.limits()
	if used+n <= most {
		limit = share
	}
	return refused(limit, wire.Overloadf(after, "%s: %d of %d are taken, %d of them by %s, who may have as many as are left for others", r, used, most, held, c.share.name))
}

// chargeFork counts the call against what a fork may take: once, however often the
// call names it.
func (c *call) chargeFork(name string) error {
	per := c.s.limits.PerFork
	if per == (Rates{}) || c.forks[name] {
		return nil
	}
	if err := c.s.rates.begin(forkRate+name, per); err != nil {
		return err
	}
	if c.forks == nil {
		c.forks = make(map[string]bool)
	}
	c.forks[name] = true
	return nil
}

// spend counts the bytes that the call moved since it was last asked to.
func (c *call) spend() {
	n := float64(c.in + c.out - c.spent)
	if n == 0 || c.principal == nil {
		return
	}
	c.spent = c.in + c.out
	c.s.rates.spend(callerRate+c.principal.Name(), c.principal.Rates(), n)
	for name := range c.forks {
		c.s.rates.spend(forkRate+name, c.s.limits.PerFork, n)
	}
}

// forEver is longer than any call lasts.
var forEver = time.Unix(1<<40, 0)

// pace waits while the caller, or a fork of the call, is over its rate, so that one long
// answer is no faster than many short ones. It ends early at a time, when the node
// stops, and with an error when the call has ended.
func (c *call) pace(until time.Time) error {
	c.spend()
	for {
		wait := c.s.rates.owed(callerRate+c.principal.Name(), c.principal.Rates())
		for name := range c.forks {
			wait = max(wait, c.s.rates.owed(forkRate+name, c.s.limits.PerFork))
		}
		wait = min(wait, time.Until(until))
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			continue
		case <-c.s.stopped:
			timer.Stop()
			return nil
		case <-c.ctx.Done():
			timer.Stop()
			return c.ended()
		}
	}
}
