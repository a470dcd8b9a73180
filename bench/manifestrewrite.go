package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/engine"
)

// writeDuringRewrite lets somebody write at a steady pace, and drops forks and makes
// them again until the manifest has been rewritten. It notes how long the writer's
// writes took before there was anything else to do, and those while the rewrite ran,
// which is when there are two manifests in the directory.
func writeDuringRewrite(dir string, s *engine.Store, out *figures, name string, forks int) error {
	main, err := s.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	w, err := main.Fork("writer", engine.NoSync)
	if err != nil {
		return err
	}
	calm := make(chan error, 1)
	time.AfterFunc(time.Second, func() { calm <- nil })
	if err := writeUntil(w, calm, out, name+"/write-before-the-rewrite"); err != nil {
		return err
	}

	r := rewriteWatch{dir: dir}
	writes := pacedWriter{f: w, counts: &r.running}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var watchErr, writeErr error
	wg.Go(func() { watchErr = r.watch(&stop) })
	wg.Go(func() { writeErr = writes.run(&stop) })
	err = provokeRewrite(s, main, forks, &r)
	stop.Store(true)
	wg.Wait()
	if err := errors.Join(err, watchErr, writeErr); err != nil {
		return err
	}
	if len(writes.took) == 0 {
		return errors.New("nothing was written while the manifest was rewritten")
	}
	slices.Sort(writes.took)
	out.add(name+"/rewrite", "s", r.took.Seconds())
	for _, p := range []int{50, 99} {
		out.add(fmt.Sprintf("%s/write-during-the-rewrite/p%d", name, p), "us", percentile(writes.took, p)*1e6)
	}
	out.add(name+"/write-during-the-rewrite/worst", "us", writes.took[len(writes.took)-1]*1e6)
	progress("%s: a rewrite took %.2f s, %d writes meanwhile", name, r.took.Seconds(), len(writes.took))
	return w.Drop(engine.NoSync)
}

// pacedWriter writes a row every half millisecond.
type pacedWriter struct {
	f      *engine.Fork
	counts *atomic.Bool
	took   []float64 // seconds of the writes that began or ended while counts was true
}

func (w *pacedWriter) run(stop *atomic.Bool) error {
	var k, v []byte
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for i := 0; !stop.Load(); i++ {
		<-tick.C
		k, v = key(k, i%1000), value(v, i, "writer")
		counts := w.counts.Load()
		c := startClock()
		if err := w.f.Set(k, v, engine.NoSync); err != nil {
			return err
		}
		if seconds := c.lap(); counts || w.counts.Load() {
			w.took = append(w.took, seconds)
		}
	}
	return nil
}

// provokeRewrite drops forks and makes them again, all in turn, and sees to it that
// the manifest learns of it, until the manifest has been rewritten.
func provokeRewrite(s *engine.Store, main *engine.Fork, forks int, r *rewriteWatch) error {
	const rounds = 8
	for i := range rounds * forks {
		if i%(forks/8) == 0 {
			if err := errors.Join(s.Flush(), s.Settle()); err != nil {
				return err
			}
			if r.ended.Load() {
				return nil
			}
		}
		f, err := s.Fork(idleName(i % forks))
		if err != nil {
			return err
		}
		if err := f.Drop(engine.NoSync); err != nil {
			return err
		}
		if _, err := main.Fork(idleName(i%forks), engine.NoSync); err != nil {
			return err
		}
	}
	return fmt.Errorf("the manifest is not rewritten after %d forks have come and gone", rounds*forks)
}

// rewriteWatch sees when the manifest is being rewritten.
type rewriteWatch struct {
	dir            string
	running, ended atomic.Bool   // a rewrite; the last of them is over
	took           time.Duration // of all rewrites
}

// watch looks at the directory every millisecond.
func (r *rewriteWatch) watch(stop *atomic.Bool) error {
	begun := time.Now()
	for !stop.Load() {
		n, err := manifests(r.dir)
		if err != nil {
			return err
		}
		if running := n > 1; running != r.running.Load() {
			if running {
				begun = time.Now()
			} else {
				r.took += time.Since(begun)
			}
			r.running.Store(running)
			r.ended.Store(!running)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// manifests counts the manifests in a store's directory.
func manifests(dir string) (int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	return len(names), err
}
