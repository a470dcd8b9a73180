package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/tinedb/tine/engine"
)

// idleForks makes many forks that nobody writes or holds, and notes what each costs
// in memory beyond its name, what a full garbage collection takes beside them, what
// somebody who writes notices when the manifest that lists them is rewritten, and how
// long the store takes to open with them.
func idleForks(cfg config, out *figures, forks int) (err error) {
	const name = "scale/idle"
	dir := filepath.Join(cfg.dir, "idle")
	s, main, err := load(dir, 1000)
	if err != nil {
		return err
	}
	defer func() {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	heap, err := quietHeap(forks)
	if err != nil {
		return err
	}
	goroutines := runtime.NumGoroutine()
	out.add(name+"/gc-before", "ms", collection())

	c := startClock()
	for i := range forks {
		if _, err := main.Fork(idleName(i), engine.NoSync); err != nil {
			return err
		}
	}
	made := c.lap()
	if err := s.Settle(); err != nil {
		return err
	}
	out.add(name+"/made", "forks/s", float64(forks)/made)
	out.add(name+"/settle", "s", c.lap())
	progress("%s: %d forks made in %.1f s", name, forks, made)
	noteIdle(out, name, heap, forks)
	out.add(name+"/goroutines", "goroutines", float64(runtime.NumGoroutine()-goroutines))

	if err := writeDuringRewrite(dir, s, out, name, forks); err != nil {
		return err
	}
	before := s.Stats()
	if err := s.Close(); err != nil {
		return err
	}
	s, main = nil, nil
	if _, err := quietHeap(forks); err != nil {
		return err
	}
	c.lap()
	if s, err = engine.Open(dir, nil); err != nil {
		return err
	}
	out.add(name+"/reopen", "s", c.lap())
	progress("%s: reopened", name)
	noteIdle(out, name+"/reopened", heap, forks)
	if after := s.Stats(); after.Forks != before.Forks || after.Forks < forks {
		return fmt.Errorf("of %d forks %d are there after an open", before.Forks, after.Forks)
	}
	return checkIdle(s, forks)
}

// quietHeap is liveHeap once it is small against what so many forks take: timers of a
// store that was closed may keep it for some seconds.
func quietHeap(forks int) (float64, error) {
	const tries = 40
	var heap float64
	for range tries {
		if heap = liveHeap(); heap < float64(4<<20+20*forks) {
			return heap, nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return 0, fmt.Errorf("%.0f MiB are in use before a fork is made: what they take cannot be told", heap/(1<<20))
}

func idleName(i int) string { return fmt.Sprintf("idle-%07d", i) }

// noteIdle notes the memory for each fork beyond its name, and a full collection.
func noteIdle(out *figures, name string, before float64, forks int) {
	each := (liveHeap()-before)/float64(forks) - float64(len(idleName(0)))
	gc := collection()
	out.add(name+"/bytes-each", "bytes", each)
	out.add(name+"/gc", "ms", gc)
	progress("%s: %.0f bytes each, a collection takes %.1f ms", name, each, gc)
}

// checkIdle reads a row through some of the forks.
func checkIdle(s *engine.Store, forks int) error {
	k := key(nil, 7)
	want := value(nil, 7, "main")
	for i := 0; i < forks; i += max(1, forks/1000) {
		f, err := s.Fork(idleName(i))
		if err != nil {
			return err
		}
		if got, err := f.Get(k); err != nil || string(got) != string(want) {
			return fmt.Errorf("%s reads %q, %v instead of %q", idleName(i), got, err, want)
		}
	}
	return nil
}

// collection gives the milliseconds of a full garbage collection: the median of a few.
func collection() float64 {
	var took []float64
	for range 5 {
		c := startClock()
		runtime.GC()
		took = append(took, c.lap()*1e3)
	}
	slices.Sort(took)
	return percentile(took, 50)
}
