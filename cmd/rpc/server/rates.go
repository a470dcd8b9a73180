package server

import (
	"math"
	"slices"
	"strings"
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
	// lost is when the last of those who were forgotten would have been whole again.
	lost time.Time
}

// What those whose rates are bounded begin with.
const (
	callerRate = "principal "
	forkRate   = "fork "
)

// rateLimit is which of their rates somebody is over.
func rateLimit(who string, bytes bool) Limit {
	switch fork := strings.HasPrefix(who, forkRate); {
	case fork && bytes:
		return LimitForkBytes
	case fork:
		return LimitForkCalls
	case bytes:
		return LimitCallerBytes
	}
	return LimitCallerCalls
}

// usage is what is left of the calls and bytes of the last second. Bytes may be less
// than nothing: how many a call moves is known only when it has moved them.
type usage struct {
	calls, bytes float64
	at           time.Time
	rates        Rates // at that time
}

// whole is when all will have come back.
func (u *usage) whole() time.Time {
	wait := 0.0
	if u.rates.Calls > 0 {
		wait = (max(1, u.rates.Calls) - u.calls) / u.rates.Calls
	}
	if u.rates.Bytes > 0 {
		wait = max(wait, (u.rates.Bytes-u.bytes)/u.rates.Bytes)
	}
	return u.at.Add(time.Duration(min(wait*float64(time.Second), math.MaxInt64/2)))
}

// refill adds what has come since.
func (u *usage) refill(r Rates, now time.Time) {
	passed := max(0, now.Sub(u.at).Seconds())
	u.calls = min(max(1, r.Calls), u.calls+passed*r.Calls) // a slow rate lets one through, too
	u.bytes = min(r.Bytes, u.bytes+passed*r.Bytes)
	u.at, u.rates = now, r
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
	bytes := 0.0
	if r.Bytes > 0 && u.bytes <= 0 {
		bytes = (1 - u.bytes) / r.Bytes
	}
	if wait > 0 || bytes > 0 {
		return refused(rateLimit(who, bytes > wait), wire.Overloadf(after(max(wait, bytes)), "%s is over its rate", who))
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

// find gives the usage, refilled. A new one may use one second's worth at once, unless it
// may be one who was forgotten and was not whole.
func (x *rates) find(who string, r Rates) *usage {
	now := x.now()
	u := x.used[who]
	if u == nil {
		if len(x.used) >= x.most {
			x.forget()
		}
		u = &usage{calls: max(1, r.Calls), bytes: r.Bytes, at: now}
		if owed := x.lost.Sub(now).Seconds(); owed > 0 {
			u.calls -= owed * r.Calls
			u.bytes -= owed * r.Bytes
		}
		x.used[who] = u
	}
	u.refill(r, now)
	return u
}

// forget drops the half of the entries that are whole again first. Who is not remembered
// counts as the last of them from then on: else whoever is forgotten would have a second's
// worth again, and could see to it, by means of many names, that they are.
func (x *rates) forget() {
	type entry struct {
		who   string
		whole time.Time
	}
	all := make([]entry, 0, len(x.used))
	for who, u := range x.used {
		all = append(all, entry{who, u.whole()})
	}
	slices.SortFunc(all, func(a, b entry) int { return a.whole.Compare(b.whole) })
	for _, e := range all[:(len(all)+1)/2] {
		delete(x.used, e.who)
		if e.whole.After(x.lost) {
			x.lost = e.whole
		}
	}
}
