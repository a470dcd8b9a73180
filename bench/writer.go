package main

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/engine"
)

// steadyWriter writes a row every half millisecond, unsynced, and knows how long each
// write took, by the phase in which it began (or, if that was none, ended): what a
// bystander notices of other work.
type steadyWriter struct {
	f     *engine.Fork
	names []string      // of the phases
	phase atomic.Int32  // an index of names; -1: nothing is noted
	took  [][]float64   // seconds, by phase; good after stop
	quit  chan struct{} // closed by stop
	done  chan error    // of the goroutine
}

// startWriter starts to write to a fork. Nothing is noted before the first phase.
func startWriter(f *engine.Fork, phases ...string) *steadyWriter {
	w := &steadyWriter{f: f, names: phases, took: make([][]float64, len(phases)), quit: make(chan struct{}), done: make(chan error, 1)}
	w.phase.Store(-1)
	go func() { w.done <- w.run() }()
	return w
}

func (w *steadyWriter) run() error {
	var k, v []byte
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-w.quit:
			return nil
		case <-tick.C:
		}
		k, v = key(k, i), value(v, i, "writer")
		phase := w.phase.Load()
		c := startClock()
		if err := w.f.Set(k, v, engine.NoSync); err != nil {
			return err
		}
		took := c.lap()
		if phase < 0 {
			phase = w.phase.Load()
		}
		if phase >= 0 {
			w.took[phase] = append(w.took[phase], took)
		}
	}
}

// enter begins a phase by its name; "" is none.
func (w *steadyWriter) enter(name string) { w.phase.Store(int32(slices.Index(w.names, name))) }

// calm gives a phase to each of two things that the rest is to be compared with: no
// other work, and as much of it as keeps one core busy without touching the store. The
// machine may be too small for more.
func (w *steadyWriter) calm(before, beside string) {
	const long = time.Second
	w.enter(before)
	time.Sleep(long)
	w.enter(beside)
	x := uint64(1)
	for begun := time.Now(); time.Since(begun) < long; {
		for range 1000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	spun.Store(x)
	w.enter("")
}

var spun atomic.Uint64 // keeps the compiler from leaving the work out

// stop ends the writer and adds the figures NAME/write-PHASE/….
func (w *steadyWriter) stop(out *figures, name string) error {
	close(w.quit)
	if err := <-w.done; err != nil {
		return err
	}
	for i, took := range w.took {
		if len(took) == 0 {
			return errors.New("nothing was written " + w.names[i])
		}
		slices.Sort(took)
		for _, p := range []int{50, 99} {
			out.add(fmt.Sprintf("%s/write-%s/p%d", name, w.names[i], p), "us", percentile(took, p)*1e6)
		}
		out.add(name+"/write-"+w.names[i]+"/worst", "us", took[len(took)-1]*1e6)
	}
	return nil
}
