package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tinedb/tine/engine"
)

// tineKeeper keeps points as forks.
type tineKeeper struct {
	tinePeer
	dir    string
	points map[int]*engine.Fork
}

func openTineKeeper(dir string, m memory, tableBytes int64) (keeper, error) {
	p, err := openTineWith(dir, &engine.Options{CacheBytes: m.cacheBytes, MemtableBytes: m.memtableBytes, TableBytes: tableBytes})
	if err != nil {
		return nil, err
	}
	return &tineKeeper{*p, dir, map[int]*engine.Fork{}}, nil
}

func (p *tineKeeper) keep(point int) (err error) {
	p.points[point], err = p.main.Fork(fmt.Sprintf("point-%d", point), engine.NoSync)
	return err
}

func (p *tineKeeper) drop(point int) (float64, error) {
	if err := p.points[point].Drop(engine.NoSync); err != nil {
		return 0, err
	}
	return p.settle()
}

func (p *tineKeeper) digestOf(point int) (digest, error) {
	p.old = p.points[point]
	return p.digest(point > 0)
}

func (p *tineKeeper) disk() (int64, error) {
	c, err := tableFiles(p.dir)
	return c.bytes, err
}

func (p *tineKeeper) close() error { return errors.Join(p.store.Verify(), p.tinePeer.close()) }

// snapshotKeeper keeps points as snapshots.
type snapshotKeeper struct {
	*pebblePeer
	dir    string
	points map[int]*pebble.Snapshot
}

func openPebbleSnapshots(dir string, m memory, _ int64) (keeper, error) {
	p, err := openPebble(dir, m)
	if err != nil {
		return nil, err
	}
	return &snapshotKeeper{p.(*pebblePeer), dir, map[int]*pebble.Snapshot{}}, nil
}

func (p *snapshotKeeper) keep(point int) error {
	p.points[point] = p.db.NewSnapshot()
	return nil
}

func (p *snapshotKeeper) drop(point int) (float64, error) {
	err := p.points[point].Close()
	delete(p.points, point)
	if err != nil {
		return 0, err
	}
	return p.settle()
}

func (p *snapshotKeeper) digestOf(point int) (digest, error) {
	if point == 0 {
		return digestPebble(p.db, nil)
	}
	return digestPebble(p.points[point], nil)
}

func (p *snapshotKeeper) disk() (int64, error) { return linkedTables(p.dir) }

func (p *snapshotKeeper) close() error {
	var errs []error
	for _, s := range p.points {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, p.pebblePeer.close())...)
}

// checkpointKeeper keeps points as checkpoints in a directory beside the store's.
type checkpointKeeper struct {
	*pebblePeer
	dir string
	m   memory
}

func openPebbleCheckpoints(dir string, m memory, _ int64) (keeper, error) {
	p, err := openPebble(dir, m)
	if err != nil {
		return nil, err
	}
	return &checkpointKeeper{p.(*pebblePeer), dir, m}, nil
}

func (p *checkpointKeeper) pointDir(point int) string {
	return filepath.Join(p.dir, "points", fmt.Sprint(point))
}

func (p *checkpointKeeper) keep(point int) error {
	if err := os.MkdirAll(filepath.Join(p.dir, "points"), 0o755); err != nil {
		return err
	}
	return p.db.Checkpoint(p.pointDir(point), pebble.WithFlushedWAL())
}

// drop removes a directory: the store does not know of it, and has nothing to do.
func (p *checkpointKeeper) drop(point int) (float64, error) {
	c := startClock()
	err := os.RemoveAll(p.pointDir(point))
	return c.lap(), err
}

// digestOf opens a point for reading only: what it would compact by itself is not
// counted against it.
func (p *checkpointKeeper) digestOf(point int) (d digest, err error) {
	if point == 0 {
		return digestPebble(p.db, nil)
	}
	o := pebbleOptions(p.m)
	o.ReadOnly = true
	db, err := pebble.Open(p.pointDir(point), o)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return digestPebble(db, nil)
}

func (p *checkpointKeeper) disk() (int64, error) { return linkedTables(p.dir) }

// linkedTables counts the bytes of all tables below a directory, and of those that are
// one file under several names once.
func linkedTables(dir string) (total int64, err error) {
	seen := map[string][]fs.FileInfo{} // by name: a checkpoint's links have the name of the store's file
	err = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil || e.IsDir() || filepath.Ext(name) != ".sst" {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, other := range seen[e.Name()] {
			if os.SameFile(info, other) {
				return nil
			}
		}
		seen[e.Name()] = append(seen[e.Name()], info)
		total += info.Size()
		return nil
	})
	return total, err
}
