package server

import (
	"math"
	"sync"
	"time"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

// rates remember what callers and forks have used of their quotas. It is used
// concurrently. What has no quota costs nothing.
type rates struct {
	most int
	now  func() time.Time

	mu   sync.Mutex
	used map[string]*usage
}

// usage is what is left of the calls and bytes of the last second. Bytes may be less
// than nothing: how many a call moves is known only when it has moved them.
type usage struct {
	calls, bytes float64
	at           time.Time
}

// refill adds what has come since.
func (u *usage) refill(r Rates, now time.Time) {
	passed := max(0, now.Sub(u.at).Seconds())
	u.calls = min(max(1, r.Calls), u.calls+passed*r.Calls) // a slow rate lets one through, too
	u.bytes = min(r.Bytes, u.bytes+passed*r.Bytes)
	u.at = now
}

// begin counts one call, or says when there will be room for it.
func (x *rates) begin(who string, r Rates) error {
	if r == (Rates{}) {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.find(who, r)
	wait := 0.0
	if r.Calls > 0 && u.calls < 1 {
		wait = (1 - u.calls) / r.Calls
	}
	if r.Bytes > 0 && u.bytes <= 0 {
		wait = max(wait, (1-u.bytes)/r.Bytes)
	}
	if wait > 0 {
		return wire.Overloadf(after(wait), "%s is over its rate", who)
	}
	u.calls--
	return nil
}

// spend counts bytes that were moved.
func (x *rates) spend(who string, r Rates, bytes float64) {
	if r.Bytes == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.find(who, r).bytes -= bytes
}

// owed is how long it takes until the bytes that were moved beyond the rate are made up
// for.
func (x *rates) owed(who string, r Rates) time.Duration {
	if r.Bytes <= 0 {
		return 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.find(who, r)
	if u.bytes > 0 {
		return 0
	}
	return after((1 - u.bytes) / r.Bytes)
}

// after is when to come back who would have to wait for so many seconds.
func after(seconds float64) time.Duration {
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2)) + time.Millisecond
}

// find gives the usage, refilled. A new one may use one second's worth at once.
func (x *rates) find(who string, r Rates) *usage {
	now := x.now()
	u := x.used[who]
	if u == nil {
		if len(x.used) >= x.most {
			x.forget(now)
		}
		u = &usage{calls: max(1, r.Calls), bytes: r.Bytes, at: now}
		x.used[who] = u
	}
	u.refill(r, now)
	return u
}

// forget drops half of the entries, those first that have not been used for a second
// and so are whole again, whatever their rates.
func (x *rates) forget(now time.Time) {
	drop := len(x.used) / 2
	for pass := range 2 {
		for who, u := range x.used {
			if drop <= 0 {
				return
			}
			if pass == 1 || now.Sub(u.at) > time.Second && u.bytes > 0 {
				delete(x.used, who)
				drop--
			}
		}
	}
}
