package main

import (
	"errors"
	"fmt"
	"path/filepath"
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
	const before, beside, during = "before-the-rewrite", "beside-a-busy-core", "during-the-rewrite"
	writes := startWriter(w, before, beside, during)
	writes.calm(before, beside)
	r := rewriteWatch{dir: dir, begin: func() { writes.enter(during) }, end: func() { writes.enter("") }}
	var stop atomic.Bool
	watched := make(chan error, 1)
	go func() { watched <- r.watch(&stop) }()
	err = provokeRewrite(s, main, forks, &r)
	stop.Store(true)
	if err := errors.Join(err, <-watched, writes.stop(out, name)); err != nil {
		return err
	}
	out.add(name+"/rewrite", "s", r.took.Seconds())
	progress("%s: a rewrite took %.2f s, %d writes meanwhile", name, r.took.Seconds(), len(writes.took[2]))
	return w.Drop(engine.NoSync)
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
	dir        string
	begin, end func()        // called at a rewrite's
	ended      atomic.Bool   // one rewrite, and no other is running
	took       time.Duration // of all rewrites; good after watch
}

// watch looks at the directory every millisecond.
func (r *rewriteWatch) watch(stop *atomic.Bool) error {
	running := false
	begun := time.Now()
	for !stop.Load() {
		n, err := manifests(r.dir)
		if err != nil {
			return err
		}
		if now := n > 1; now != running {
			running = now
			if now {
				begun = time.Now()
				r.begin()
			} else {
				r.end()
				r.took += time.Since(begun)
			}
			r.ended.Store(!now)
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
