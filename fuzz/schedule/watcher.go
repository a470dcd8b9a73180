package schedule

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	points "github.com/tinedb/tine/internal/schedule"
)

// watcher is what a run knows of the points its store comes to, and where it makes
// goroutines wait. It may be used concurrently.
//
// A gate holds everybody who comes; a stop holds, or only notices, the first who
// comes. Who comes to a closed gate is at the point when the gate has been opened.
type watcher struct {
	armed  atomic.Bool // else only gates hold anybody
	mu     sync.Mutex
	gates  map[points.Point]chan struct{} // closed ones, by the point
	porch  *stop                          // may be nil
	first  *stop
	second *stop
	passed [points.Points]int
	steps  []string
	decide func(points.Point) *stop // of random runs; nil otherwise
}

// stop is one place at which a goroutine is caught.
type stop struct {
	at       points.Point
	by       uint64        // the goroutine; 0 as long as nobody has come
	reached  chan struct{} // closed when somebody has
	released chan struct{} // the goroutine waits until this is closed
}

func newStop(at points.Point) *stop {
	return &stop{at: at, reached: make(chan struct{}), released: make(chan struct{})}
}

func newWatcher(gates ...points.Point) *watcher {
	w := &watcher{gates: map[points.Point]chan struct{}{}}
	for _, p := range gates {
		w.gates[p] = make(chan struct{})
	}
	return w
}

// reach is called by the store.
func (w *watcher) reach(p points.Point) {
	if !w.armed.Load() && p != points.MemoryTurn && p != points.MergeTurn {
		return
	}
	me := goroutine()
	w.mu.Lock()
	for w.gates[p] != nil {
		gate := w.gates[p]
		w.mu.Unlock()
		<-gate
		w.mu.Lock()
	}
	w.passed[p]++
	w.steps = append(w.steps, fmt.Sprintf("%d %s", me, p))
	caught := w.catchLocked(p, me)
	w.mu.Unlock()
	if caught != nil {
		<-caught.released
	}
}

// catchLocked gives the stop at which the goroutine is caught, if it is. The
// second stop is for another goroutine than the first.
func (w *watcher) catchLocked(p points.Point, me uint64) *stop {
	if w.decide != nil {
		return w.decide(p)
	}
	switch {
	case w.porch != nil && w.porch.by == 0:
		if w.porch.at != p {
			return nil
		}
		return w.porch.caught(me)
	case w.first != nil && w.first.by == 0:
		if w.first.at != p {
			return nil
		}
		return w.first.caught(me)
	case w.second != nil && w.second.by == 0 && w.second.at == p && w.first.by != me:
		return w.second.caught(me)
	}
	return nil
}

func (s *stop) caught(me uint64) *stop {
	s.by = me
	close(s.reached)
	return s
}

// arm sets the stops, which are reached in this order. The story begins here.
func (w *watcher) arm(porch, first, second *stop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.porch, w.first, w.second = porch, first, second
	w.steps = nil
	w.armed.Store(true)
}

// disarm ends the story.
func (w *watcher) disarm() { w.armed.Store(false) }

// open lets everybody pass a gate from now on.
func (w *watcher) open(gates ...points.Point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range gates {
		if w.gates[p] != nil {
			close(w.gates[p])
			delete(w.gates, p)
		}
	}
}

// shut makes everybody wait at a gate from now on.
func (w *watcher) shut(gate points.Point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates[gate] == nil {
		w.gates[gate] = make(chan struct{})
	}
}

// turns is how many the workers have begun.
func (w *watcher) turns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed[points.MemoryTurn] + w.passed[points.MergeTurn]
}

// met tells whether anybody has come to the point.
func (w *watcher) met(p points.Point) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed[p] > 0
}

// story is which goroutine came to which point, in order; of a long one the end.
func (w *watcher) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	const shown = 60
	steps := w.steps
	begin := ""
	if len(steps) > shown {
		begin = fmt.Sprintf("(%d steps) … ", len(steps)-shown)
		steps = steps[len(steps)-shown:]
	}
	return begin + strings.Join(steps, ", ")
}
