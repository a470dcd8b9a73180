package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/tinedb/tine/engine"
)

// chain says how forks follow one another.
type chain struct {
	name   string
	writes int   // random rows written at each step
	flush  bool  // after the writes of each step
	parent bool  // every step writes the first fork and forks it, so that the forks are siblings; otherwise it forks the newest fork and writes the new one
	depths []int // that are measured; 0 is a fork made before the first step
}

// link is one fork of a chain and what it should hold.
type link struct {
	fork    *engine.Fork
	version []uint16 // of each row, the step that wrote it last; 0 is the base
}

// links is a chain in an open store of its own.
type links struct {
	store *engine.Store
	dir   string
	at    map[int]link // by depth
}

// make makes the chain on a copy of base, waits until background work is at rest, and
// notes how long both took and what the chain has written and pins. Every fork stays
// alive.
func (c chain) make(dir string, out *figures, base storeBase) (l links, err error) {
	if err := copyDir(dir, base.dir, false); err != nil {
		return l, err
	}
	l = links{dir: dir, at: map[int]link{}}
	if l.store, err = engine.Open(dir, &engine.Options{CacheBytes: 2 << 30}); err != nil {
		return l, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	main, err := l.store.Fork(engine.MainFork)
	if err != nil {
		return l, err
	}
	before := l.store.Stats()
	clock := startClock()
	if err := c.steps(main, base.rows, l); err != nil {
		return l, err
	}
	made := clock.lap()
	if err := l.store.Settle(); err != nil {
		return l, err
	}
	settled := clock.lap()
	steps := float64(c.depths[len(c.depths)-1])
	out.add(c.name+"/step", "us", made*1e6/steps)
	out.add(c.name+"/settle", "s", settled)
	progress("%s: %.1f s to make, %.1f s to settle", c.name, made, settled)
	if err := c.noteBytes(out, l, before); err != nil {
		return l, err
	}
	return l, l.store.Verify()
}

// noteBytes notes what the writes of the chain came to: put by the caller, written to
// tables by flushes and merges, pinned on disk and in memory at rest.
func (c chain) noteBytes(out *figures, l links, before engine.Stats) error {
	after := l.store.Stats()
	put := float64(c.depths[len(c.depths)-1]) * float64(c.writes*(keyBytes+valueBytes))
	flushed, merged := float64(after.BytesFlushed-before.BytesFlushed), float64(after.BytesMerged-before.BytesMerged)
	out.add(c.name+"/nodes", "nodes", float64(after.Nodes-before.Nodes))
	out.add(c.name+"/memory-nodes", "nodes", float64(after.MemoryNodes))
	if put == 0 {
		return nil
	}
	tables, err := tableFiles(l.dir)
	if err != nil {
		return err
	}
	out.add(c.name+"/bytes-put", "MiB", put/(1<<20))
	out.add(c.name+"/bytes-flushed", "MiB", flushed/(1<<20))
	out.add(c.name+"/bytes-merged", "MiB", merged/(1<<20))
	out.add(c.name+"/bytes-pinned-on-disk", "MiB", (float64(tables.bytes)-float64(before.TableBytes))/(1<<20))
	out.add(c.name+"/bytes-pinned-in-memory", "MiB", float64(after.MemtableBytes-before.MemtableBytes)/(1<<20))
	out.add(c.name+"/written-per-put", "ratio", (flushed+merged)/put)
	return nil
}

// steps makes the forks. They keep no handles but those that are measured.
func (c chain) steps(main *engine.Fork, rows int, l links) error {
	version := make([]uint16, rows)
	first, err := main.Fork("first", engine.NoSync)
	if err != nil {
		return err
	}
	l.at[0] = link{first, slices.Clone(version)}
	newest := main
	var k, v []byte
	random := rand.New(rand.NewPCG(1, 2))
	b := l.store.NewBatch()
	for step := 1; step <= c.depths[len(c.depths)-1]; step++ {
		name := fmt.Sprintf("step-%d", step)
		written := main
		if !c.parent {
			if newest, err = newest.Fork(name, engine.NoSync); err != nil {
				return err
			}
			written = newest
		}
		for range c.writes {
			i := random.IntN(rows)
			version[i] = uint16(step)
			k, v = key(k, i), value(v, i, versionName(version[i]))
			b.Set(written, k, v)
		}
		if err := b.Commit(engine.NoSync); err != nil {
			return err
		}
		if c.parent {
			if newest, err = main.Fork(name, engine.NoSync); err != nil {
				return err
			}
		}
		if c.flush {
			if err := l.store.Flush(); err != nil {
				return err
			}
		}
		if slices.Contains(c.depths, step) {
			l.at[step] = link{newest, slices.Clone(version)}
		}
	}
	return nil
}

// versionName names the writer of a version of a row.
func versionName(version uint16) string {
	if version == 0 {
		return "main" // as load does
	}
	return fmt.Sprintf("step %d", version)
}

// value gives the value that row i has in the link.
func (l link) value(dst []byte, i int) []byte { return value(dst, i, versionName(l.version[i])) }

func (l links) close() error { return errors.Join(l.store.Close(), os.RemoveAll(l.dir)) }
