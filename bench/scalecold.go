package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/tinedb/tine/engine"
)

// coldFork is how many rows are written to each cold fork: 4 KB.
const coldFork = 36

// coldForks makes forks of one base and writes a little to each, which is then left
// alone. It notes memory and files while that goes on and at
// rest, what an open takes, and what is left on disk when half of the forks, at random,
// are dropped again.
func coldForks(cfg config, out *figures, forks, rows int) (err error) {
	const name = "scale/cold"
	dir := filepath.Join(cfg.dir, "cold")
	s, _, err := load(dir, rows)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	// A quick run gets less memory, so that its forks, too, have to be flushed.
	o := &engine.Options{MemtableBytes: cfg.memory().memtableBytes}
	if s, err = engine.Open(dir, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(), os.RemoveAll(dir)) }()
	main, err := s.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	base, before := s.Stats(), residentAtRest()

	w := watch(dir)
	c := startClock()
	if err := writeCold(s, main, forks, rows); err != nil {
		return errors.Join(err, w.stop())
	}
	made := c.lap()
	err = s.Settle()
	settled := c.lap()
	if err := errors.Join(err, w.stop()); err != nil {
		return err
	}
	rest, err := storeFiles(dir)
	if err != nil {
		return err
	}
	st := s.Stats()
	put := float64(forks * coldFork * (keyBytes + valueBytes))
	out.add(name+"/made", "forks/s", float64(forks)/made)
	out.add(name+"/settle", "s", settled)
	out.add(name+"/memory-peak", "MiB", mib(w.memory-min(w.memory, before)))
	out.add(name+"/memory-at-rest", "MiB", (float64(residentAtRest())-float64(before))/(1<<20))
	out.add(name+"/memtables-at-rest", "MiB", float64(st.MemtableBytes)/(1<<20))
	out.add(name+"/files-peak", "files", float64(w.files))
	out.add(name+"/files-at-rest", "files", float64(rest.files))
	out.add(name+"/log-at-rest", "MiB", float64(st.WALBytes)/(1<<20))
	out.add(name+"/written-per-put", "ratio", float64(st.BytesFlushed+st.BytesMerged)/put)
	progress("%s: made in %.1f s, at rest after %.1f s more", name, made, settled)

	if err := s.Close(); err != nil {
		return err
	}
	c.lap()
	if s, err = engine.Open(dir, o); err != nil {
		return err
	}
	out.add(name+"/reopen", "s", c.lap())
	if err := checkCold(s, forks, rows, func(int) bool { return true }); err != nil {
		return err
	}
	return dropCold(s, out, dir, base.TableBytes, forks, rows)
}

func coldName(i int) string { return fmt.Sprintf("cold-%06d", i) }

// coldRow gives the j-th row that is written to cold fork i: keys without a pattern.
func coldRow(k, v []byte, i, j, rows int) ([]byte, []byte) {
	row := int((uint64(i*coldFork+j) * 0xd1342543de82ef95 >> 20) % uint64(rows))
	return key(k, row), value(v, row, coldName(i))
}

func writeCold(s *engine.Store, main *engine.Fork, forks, rows int) error {
	var k, v []byte
	b := s.NewBatch()
	for i := range forks {
		f, err := main.Fork(coldName(i), engine.NoSync)
		if err != nil {
			return err
		}
		for j := range coldFork {
			k, v = coldRow(k, v, i, j, rows)
			b.Set(f, k, v)
		}
		if err := b.Commit(engine.NoSync); err != nil {
			return err
		}
	}
	return nil
}

// checkCold reads some rows of some of the forks that should be there.
func checkCold(s *engine.Store, forks, rows int, there func(i int) bool) error {
	var k, v []byte
	for i := 0; i < forks; i += max(1, forks/1000) {
		f, err := s.Fork(coldName(i))
		if !there(i) {
			if !errors.Is(err, engine.ErrForkNotFound) {
				return fmt.Errorf("%s was dropped: %w", coldName(i), err)
			}
			continue
		}
		if err != nil {
			return err
		}
		for j := range coldFork {
			k, v = coldRow(k, v, i, j, rows)
			if got, err := f.Get(k); err != nil || string(got) != string(v) {
				return fmt.Errorf("%s reads %q, %v instead of %q", coldName(i), got, err, v)
			}
		}
	}
	return nil
}

// dropCold drops half of the forks and notes what the disk comes to.
func dropCold(s *engine.Store, out *figures, dir string, baseBytes uint64, forks, rows int) error {
	const name = "scale/cold/half-dropped"
	if err := errors.Join(s.Flush(), s.Settle()); err != nil {
		return err
	}
	full, err := tableFiles(dir)
	if err != nil {
		return err
	}
	order := rand.New(rand.NewPCG(21, 22)).Perm(forks)
	gone := make([]bool, forks)
	c := startClock()
	for _, i := range order[:forks/2] {
		f, err := s.Fork(coldName(i))
		if err != nil {
			return err
		}
		if err := f.Drop(engine.NoSync); err != nil {
			return err
		}
		gone[i] = true
	}
	out.add(name+"/drop", "us", c.lap()*1e6/float64(forks/2))
	if err := s.Settle(); err != nil {
		return err
	}
	out.add(name+"/settle", "s", c.lap())
	left, err := tableFiles(dir)
	if err != nil {
		return err
	}
	need := float64(baseBytes) + (float64(full.bytes)-float64(baseBytes))*float64(forks-forks/2)/float64(forks)
	out.add(name+"/disk-vs-need", "ratio", float64(left.bytes)/need)
	if err := checkCold(s, forks, rows, func(i int) bool { return !gone[i] }); err != nil {
		return err
	}
	return s.Verify()
}
