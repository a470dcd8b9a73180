package server

import (
	"context"
	"sync"
	"time"

	"github.com/tinedb/tine/internal/invariant"
)

// A resource is something of which a node has so much for all callers together.
type resource uint8

const (
	someBytes       resource                      = iota // of messages
	someScans                                            // each with an iterator open
	someConnections                                      // of callers whom the node knows
	someCalls                                            // of a lane; those of the other lanes follow
	someReceiving   = someCalls + resource(lanes)        // room for messages that are not whole yet, likewise
	resources       = int(someReceiving) + int(lanes)
)

// String is what there is so much of, for errors.
func (r resource) String() string {
	switch {
	case r == someBytes:
		return "bytes of messages"
	case r == someScans:
		return "scans"
	case r == someConnections:
		return "connections"
	case r < someReceiving:
		return "calls"
	}
	return "messages that are arriving"
}

// limits are what somebody is told who gets none of it: because all is taken, or because
// they have their share.
func (r resource) limits() (all, share Limit) {
	switch {
	case r == someBytes:
		return LimitBytes, LimitBytesShare
	case r == someScans:
		return LimitScans, LimitScansShare
	case r == someConnections:
		return LimitConnections, LimitConnectionsShare
	case r < someReceiving:
		return LimitCalls, LimitCallsShare
	}
	return LimitReceiving, LimitReceivingShare
}

// shares divide what a node has among its callers. The rule has no knob: nobody holds
// more of a resource than they leave for others. One who takes all they can holds a
// half; two hold a third each; whoever comes then finds room. Who holds nothing yet is
// let in wherever there is room at all, so that a message which takes more than half of
// a small node's memory can be sent, too.
//
// A shares may be used concurrently. Invariant: used is the sum of what the callers
// hold, and of the calls of which nobody knows yet whose they are.
type shares struct {
	mu    sync.Mutex
	pools [resources]pool
	of    map[string]*share // of those who hold something
}

// pool is one resource.
type pool struct {
	most, used int64
	waiting    []*waiter // in the order in which they came
}

// share is what one caller holds. It is under the mutex of shares.
type share struct {
	name string
	held [resources]int64
}

// waiter waits for one of a resource.
type waiter struct {
	who *share
	got chan struct{} // closed when it has it
}

func newShares(l Limits) *shares {
	x := &shares{of: make(map[string]*share)}
	x.pools[someBytes].most = l.MaxBytesInFlight
	x.pools[someScans].most = int64(l.MaxScans)
	x.pools[someConnections].most = int64(l.MaxConnections)
	for i := range lanes {
		x.pools[someCalls+resource(i)].most = int64(l.MaxInFlight)
		x.pools[someReceiving+resource(i)].most = asideReceivers
	}
	x.pools[someReceiving+resource(laneCalls)].most = max(receivers, l.MaxBytesInFlight/int64(l.MaxReceiveBytes))
	return x
}

// enter counts a call of which nobody knows yet whose it is, if there is room for it.
func (x *shares) enter(of lane) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := &x.pools[someCalls+resource(of)]
	if p.used == p.most {
		return false
	}
	p.used++
	return true
}

// join makes a call that has entered one of a caller, and gives the caller's share. It
// is nil if the caller has too many: then the call is nobody's still.
func (x *shares) join(name string, of lane) *share {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := someCalls + resource(of)
	who := x.of[name]
	if who == nil {
		who = &share{name: name}
		x.of[name] = who
	}
	p := &x.pools[r]
	if who.held[r] > 0 && who.held[r]+1 > p.most-p.used {
		return nil
	}
	who.held[r]++
	return who
}

// leave ends what enter began, and join, if there is a share.
func (x *shares) leave(who *share, of lane) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.giveLocked(who, someCalls+resource(of), 1)
}

// take takes n of a resource for a caller, who has taken own of it for this call
// before. It tells whether there was room.
func (x *shares) take(who *share, r resource, n, own int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.mayLocked(who, r, n, own) {
		return false
	}
	x.takeLocked(who, r, n)
	return true
}

// force takes n of a resource whether there is room or not.
func (x *shares) force(who *share, r resource, n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.takeLocked(who, r, n)
}

// give gives n of a resource back.
func (x *shares) give(who *share, r resource, n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.giveLocked(who, r, n)
}

// wait takes one of a resource, when there is room. It tells whether there was, before
// the time was over and the context ended.
func (x *shares) wait(ctx context.Context, who *share, r resource, patience time.Duration) bool {
	x.mu.Lock()
	if x.mayLocked(who, r, 1, 0) {
		x.takeLocked(who, r, 1)
		x.mu.Unlock()
		return true
	}
	w := &waiter{who: who, got: make(chan struct{})}
	p := &x.pools[r]
	p.waiting = append(p.waiting, w)
	x.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.got:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, other := range p.waiting {
		if other == w {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return false
		}
	}
	return true // it has come meanwhile
}

// used is how much of a resource is taken.
func (x *shares) used(r resource) int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.pools[r].used
}

// state is how much of a resource a caller holds, and all do, and there is.
func (x *shares) state(who *share, r resource) (held, used, most int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return who.held[r], x.pools[r].used, x.pools[r].most
}

// mayLocked is the rule.
func (x *shares) mayLocked(who *share, r resource, n, own int64) bool {
	p := &x.pools[r]
	left := p.most - p.used - n
	return left >= 0 && (who.held[r] == own || who.held[r]+n <= left)
}

func (x *shares) takeLocked(who *share, r resource, n int64) {
	x.pools[r].used += n
	who.held[r] += n
}

func (x *shares) giveLocked(who *share, r resource, n int64) {
	p := &x.pools[r]
	p.used -= n
	invariant.Check(p.used >= 0, "more of resource %d was given back than taken: %d", r, p.used)
	if who != nil {
		who.held[r] -= n
		invariant.Check(who.held[r] >= 0, "%s gave back more of resource %d than it took: %d", who.name, r, who.held[r])
		if who.held == ([resources]int64{}) {
			delete(x.of, who.name)
		}
	}
	p.waiting = x.letInLocked(r)
}

// letInLocked gives what there is to those who wait and may have it, in the order in
// which they came, and tells who goes on waiting.
func (x *shares) letInLocked(r resource) []*waiter {
	p := &x.pools[r]
	still := p.waiting[:0]
	for _, w := range p.waiting {
		if x.mayLocked(w.who, r, 1, 0) {
			x.takeLocked(w.who, r, 1)
			close(w.got)
			continue
		}
		still = append(still, w)
	}
	clear(p.waiting[len(still):])
	return still
}
