package schedule

import (
	"math/rand/v2"
	"sync"

	points "github.com/tinedb/tine/internal/schedule"
)

// catch is the goroutines that a random run holds. It may be used concurrently.
type catch struct {
	mu    sync.Mutex
	stops []*stop
}

// drawStops makes every fifth goroutine or so that comes to a point wait, as long
// as few do.
func (w *watcher) drawStops(rng *rand.Rand) *catch {
	c := &catch{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decide = func(p points.Point) *stop {
		c.mu.Lock()
		defer c.mu.Unlock()
		if rng.IntN(5) > 0 || len(c.stops) == maxCaught {
			return nil
		}
		s := newStop(p)
		c.stops = append(c.stops, s)
		return s
	}
	w.armed.Store(true)
	return c
}

func (w *watcher) stopDrawing() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decide = func(points.Point) *stop { return nil }
}

// releaseOne releases one of the goroutines, if any is held.
func (c *catch) releaseOne(rng *rand.Rand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.stops) == 0 {
		return false
	}
	i := rng.IntN(len(c.stops))
	close(c.stops[i].released)
	c.stops = append(c.stops[:i], c.stops[i+1:]...)
	return true
}

func (c *catch) releaseAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stops {
		close(s.released)
	}
	c.stops = nil
}
