package schedule

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
)

// order says how two operations that meet at two points go on.
type order uint8

const (
	through order = iota // the second goes on as far as it can, then the first is released
	inside               // the second is held too, until the first has gone on as far as it can
	race                 // both go on at once
	orders
)

func (o order) String() string { return [orders]string{"through", "inside", "race"}[o] }

// pair is two points, of which one is reached while somebody is held at the other.
type pair struct {
	held, reached points.Point
}

func (p pair) String() string { return fmt.Sprintf("%s, then %s", p.held, p.reached) }

// way is a pair of deeds.
type way struct {
	kind          stores
	first, second deed
	early         bool // the second has begun before the first is held
}

func (w way) String() string { return fmt.Sprintf("%s while %s", w.second.name, w.first.name) }

// ways are the ways to a pair. Those in which one party would have to be at two
// places are left out, unless there are no others: then one is kept, for a test to
// see that nothing comes of it.
func (p pair) ways() []way { return p.waysBy(ways(p.held), ways(p.reached)) }

// waysBy are those by certain deeds.
func (p pair) waysBy(firsts, seconds []deed) []way {
	var out, hopeless []way
	for _, first := range firsts {
		for _, second := range seconds {
			for _, kind := range common(first.on, second.on) {
				w := way{kind: kind, first: first, second: second}
				switch {
				case kind != manual && first.ends && p.held != points.CloseBegun:
					// A close waits for the workers, who wait at the gates.
				case first.by != anybody && first.by == second.by:
					hopeless = append(hopeless, w)
				default:
					out = append(out, w)
				}
				if _, ok := before[p.reached]; ok && first.ends {
					w.early = true
					out = append(out, w)
				}
			}
		}
	}
	if len(out) == 0 && len(hopeless) > 0 {
		return hopeless[:1]
	}
	return out
}

// try forces the pair in one way. happened tells whether it came about; nothing
// may be wrong whether it did or not. An image of the moment before the release is
// judged if photo is not 0.
func (p pair) try(w way, o order, photo uint64, counts *fuzz.Counts) (happened bool, err error) {
	r, err := newRun(w.kind)
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s (%s), %s: %w\nsteps: %s", p, w, o, err, r.watch.story())
		}
	}()
	first, second := newStop(p.held), newStop(p.reached)
	happened, err = p.meet(r, w, o, first, second, photo, counts)
	release(first)
	release(second)
	if errors.Is(err, errHangs) {
		return false, err
	}
	return happened, errors.Join(err, r.finish())
}

func release(s *stop) {
	select {
	case <-s.released:
	default:
		close(s.released)
	}
}

// meet brings one actor to the first point and then another to the second.
func (p pair) meet(r *run, w way, o order, first, second *stop, photo uint64, counts *fuzz.Counts) (happened bool, err error) {
	r.closed = w.first.ends || w.second.ends
	for k, d := range []deed{w.first, w.second} {
		if d.ready != nil {
			if err := d.ready(r, r.actors[k]); err != nil {
				return false, err
			}
		}
	}
	if err := r.bystand(); err != nil {
		return false, err
	}
	if err := r.settleDown(); err != nil {
		return false, err
	}
	if o != inside {
		close(second.released)
	}
	var porch *stop
	if w.early {
		porch = newStop(before[p.reached])
		defer release(porch)
	}
	r.watch.arm(porch, first, second)
	if w.early {
		r.begin(w.second.name, func() error { return w.second.do(r, r.actors[1]) })
		if there, err := r.crowd.until(porch.reached); err != nil || !there {
			return false, err
		}
	}
	r.begin(w.first.name, func() error { return w.first.do(r, r.actors[0]) })
	if there, err := r.crowd.until(first.reached); err != nil || !there {
		return false, err
	}
	if w.early {
		release(porch)
	} else {
		r.begin(w.second.name, func() error { return w.second.do(r, r.actors[1]) })
	}
	if happened, err = r.crowd.until(second.reached); err != nil {
		return false, err
	}
	if o == race {
		r.begin("bystander", r.carryOn)
		return happened, nil
	}
	if o == inside {
		close(first.released)
	}
	r.begin("bystander", r.carryOn)
	if err := r.settleDown(); err != nil {
		return happened, err
	}
	if photo != 0 {
		r.photograph(photo, counts)
	}
	return happened, nil
}

// force tries the ways to a pair until it has come about in one, and then, if all
// are asked for, the other orders, beginning with this one.
func (p pair) force(counts *fuzz.Counts, photo uint64, all bool) (happened bool, err error) {
	return p.forceBy(p.ways(), counts, photo, all)
}

func (p pair) forceBy(ways []way, counts *fuzz.Counts, photo uint64, all bool) (happened bool, err error) {
	for i, w := range ways {
		happened, err := p.count(w, through, photo, counts)
		if err != nil {
			return false, err
		}
		if !happened {
			continue
		}
		for o := inside; all && o < orders; o++ {
			if err := p.follow(ways[i:], o, photo, counts); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

// follow forces the pair in another order, in the first of the ways that leads to
// it. A worker's rest ends by a timer, for which nobody waits: so a way that led
// to the pair once may miss it the next time, and is then tried again.
func (p pair) follow(ways []way, o order, photo uint64, counts *fuzz.Counts) error {
	const rounds = 3
	for range rounds {
		for _, w := range ways {
			happened, err := p.count(w, o, photo, counts)
			if err != nil || happened {
				return err
			}
		}
	}
	return nil
}

// count is try, counted.
func (p pair) count(w way, o order, photo uint64, counts *fuzz.Counts) (happened bool, err error) {
	counts.Add("runs", 1)
	happened, err = p.try(w, o, photo, counts)
	if err != nil {
		return false, err
	}
	if happened {
		counts.Add("pairs forced, "+o.String(), 1)
	} else {
		counts.Add("ways that did not lead to their pair", 1)
	}
	return happened, nil
}
