package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// readers are goroutines that read what the driver changes at the same time. What
// one sees must be what the fork held after some operation between the last that
// had ended when it began to read and the last that had begun when it was done.
// How much they read follows the driver: it gives them one turn an operation.
type readers struct {
	d     *Driver
	turns chan struct{}
	done  sync.WaitGroup

	gate sync.RWMutex // readers hold it while they use the store; who closes it, or counts its files, takes it alone

	mu     sync.Mutex
	states []model.State // after each operation, the one that goes on included
	ended  int           // operations that have ended
	err    error         // the first thing that was wrong
}

// startReaders lets n goroutines read. d calls the methods of the result at the
// right moments; it may be nil.
func startReaders(d *Driver, n int) *readers {
	if n == 0 {
		return nil
	}
	r := &readers{d: d, turns: make(chan struct{}, n), states: []model.State{d.state}}
	for i := range n {
		rng := rand.New(rand.NewPCG(uint64(i), 13))
		r.done.Go(func() {
			var kept *longRead
			for range r.turns {
				r.found(r.turn(rng, &kept))
			}
			if kept != nil {
				r.found(kept.it.Close())
			}
		})
	}
	return r
}

// found notes what a reader found wrong.
func (r *readers) found(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, fmt.Errorf("a reader beside: %w", err))
}

// begin notes the state after the operation that begins.
func (r *readers) begin(next model.State) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.states = append(r.states, next)
	r.mu.Unlock()
}

// end notes that it has ended, and gives a turn. It tells what readers found.
func (r *readers) end() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = len(r.states) - 1
	select {
	case r.turns <- struct{}{}:
	default:
	}
	return r.err
}

// alone does something while no reader uses the store.
func (r *readers) alone(do func() error) error {
	if r == nil {
		return do()
	}
	r.gate.Lock()
	defer r.gate.Unlock()
	return do()
}

// stop ends them and tells what they found.
func (r *readers) stop() error {
	if r == nil {
		return nil
	}
	close(r.turns)
	r.done.Wait()
	return r.err
}

// turn reads one fork: all of it, one key, or all of it by an iterator that goes
// through it twice and that the reader may keep for some turns more. Then it must
// show the same each time, whatever was deleted, flushed and merged meanwhile.
func (r *readers) turn(rng *rand.Rand, kept **longRead) error {
	r.gate.RLock()
	defer r.gate.RUnlock()
	if *kept != nil && rng.IntN(2) == 0 {
		return r.again(rng, kept)
	}
	r.mu.Lock()
	from := r.ended
	state := r.states[from]
	r.mu.Unlock()
	name, m := state.Forks.At(rng.IntN(state.Forks.Len()))
	key := ""
	if m.Contents.Len() > 0 && rng.IntN(3) == 0 {
		key, _ = m.Contents.At(rng.IntN(m.Contents.Len()))
	}
	f, err := r.d.store.Fork(name)
	var seen model.Contents
	switch {
	case err != nil:
	case key != "":
		var value []byte
		if value, err = f.Get([]byte(key)); err == nil {
			seen = seen.Set(key, string(value))
		} else if errors.Is(err, engine.ErrNotFound) {
			err = nil
		}
	case rng.IntN(2) == 0:
		seen, err = readContents(f)
	default:
		long := &longRead{store: r.d.store, opened: from}
		if long.it, err = f.NewIter(engine.Range{}); err != nil {
			break
		}
		if seen, err = walkTwice(long.it); err != nil || *kept != nil {
			err = errors.Join(err, long.it.Close())
		} else {
			long.want, *kept = seen, long
		}
	}
	r.mu.Lock()
	window := r.states[from:]
	r.mu.Unlock()
	r.d.counts.Add("reads beside the driver", 1)
	if len(window) > 1 {
		r.d.counts.Add("reads beside the driver while something changed", 1)
	}
	return explained(window, name, key, seen, err)
}

// longRead is an iterator that a reader keeps, and what it showed at first.
type longRead struct {
	store  *engine.Store
	it     *engine.Iterator
	want   model.Contents
	opened int // operations that had ended
}

// again reads what a reader keeps once more, and perhaps lets it go.
func (r *readers) again(rng *rand.Rand, kept **longRead) error {
	k := *kept
	if k.store != r.d.store {
		*kept = nil
		return (&held{it: k.it}).afterClose()
	}
	seen, err := walkTwice(k.it)
	if err == nil {
		if d := model.DiffContents(seen, k.want); d != "" || seen.Len() != k.want.Len() {
			err = fmt.Errorf("an iterator that has been open for a while shows something else than at first: %s", d)
		}
	}
	r.mu.Lock()
	changed := r.ended > k.opened
	r.mu.Unlock()
	if changed {
		r.d.counts.Add("iterators read again beside the driver after something changed", 1)
	}
	if err != nil || rng.IntN(6) == 0 {
		*kept = nil
		err = errors.Join(err, k.it.Close())
	}
	return err
}

// walkTwice walks an iterator forward and then back.
func walkTwice(it *engine.Iterator) (model.Contents, error) {
	var seen model.Contents
	for ok := it.First(); ok; ok = it.Next() {
		seen = seen.Set(string(it.Key()), string(it.Value()))
	}
	if err := it.Error(); err != nil {
		return seen, err
	}
	i := seen.Len()
	for ok := it.Last(); ok; ok = it.Prev() {
		i--
		if i < 0 {
			return seen, fmt.Errorf("the way back has a row %q before the first", it.Key())
		}
		if err := compareRow(string(it.Key()), string(it.Value()), i, seen); err != nil {
			return seen, fmt.Errorf("the way back differs: %w", err)
		}
	}
	if i != 0 && it.Error() == nil {
		return seen, fmt.Errorf("the way back ends %d rows early", i)
	}
	return seen, it.Error()
}

// explained demands that what was seen of the fork of that name, or of one key in
// it, was so at some time in the window: first the name meant a fork, and from
// then on the fork held it or was gone.
func explained(window []model.State, name, key string, seen model.Contents, err error) error {
	if err != nil && !errors.Is(err, engine.ErrForkNotFound) {
		return fmt.Errorf("read of fork %s: %w", name, err)
	}
	called := map[int]bool{} // forks that had the name so far
	for _, s := range window {
		f, exists := s.Forks.Get(name)
		if !exists && err != nil {
			return nil
		}
		if exists {
			called[f.ID] = true
		}
		alive := 0
		for _, f := range s.Forks.All() {
			if !called[f.ID] {
				continue
			}
			alive++
			if err == nil && holds(f.Contents, key, seen) {
				return nil
			}
		}
		if err != nil && alive < len(called) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("fork %s is not found, and was there all the time: %w", name, err)
	}
	last := window[len(window)-1]
	f, _ := last.Forks.Get(name)
	return fmt.Errorf("fork %s, key %q: what was read was never so in %d operations; against the last: %s",
		name, key, len(window), model.DiffContents(seen, f.Contents))
}

// holds tells whether contents are what was seen, or agree in the one key.
func holds(c model.Contents, key string, seen model.Contents) bool {
	if key == "" {
		return c.Len() == seen.Len() && model.DiffContents(seen, c) == ""
	}
	within := model.Range{Lower: ops.Bound(key), Upper: ops.Bound(key + "\x00")}
	return model.DiffContents(seen, c.Within(within)) == ""
}
