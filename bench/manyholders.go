package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tinedb/tine/engine"
)

// manyHolders lets very many forks of one base delete one row each of the same table,
// and then merges the base below all of them: every fork's vector has to be carried
// over to the new table. Somebody who writes all the while must not notice. There is no
// peer: a store without forks has no such moment.
func manyHolders(cfg config, out *figures, round, rows, holders int) error {
	name := "delete/many-holders"
	start := startClock()
	dir := filepath.Join(cfg.dir, fmt.Sprintf("holders-%d", round))
	s, err := engine.Open(dir, &engine.Options{Manual: true, CacheBytes: 256 << 20, MemtableBytes: 1 << 30})
	if err != nil {
		return err
	}
	err = holdersOn(s, out, name, rows, holders)
	err = errors.Join(err, s.Close())
	progress("%s, round %d of %d: %.1f s", name, round+1, cfg.rounds, start.lap())
	return err
}

func holdersOn(s *engine.Store, out *figures, name string, rows, holders int) error {
	main, err := s.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	if err := twoRuns(s, main, rows); err != nil {
		return err
	}
	var k []byte
	for i := range holders {
		f, err := main.Fork(holderName(i), engine.NoSync)
		if err != nil {
			return err
		}
		k = key(k, i%rows)
		if err := f.Delete(k, engine.NoSync); err != nil {
			return err
		}
	}
	clock := startClock()
	if err := s.Flush(); err != nil {
		return err
	}
	out.add(name+"/flush", "s", clock.lap())
	before := s.Stats()
	if before.Vectors != holders {
		return fmt.Errorf("%d forks have deleted a row, there are %d vectors", holders, before.Vectors)
	}
	out.add(name+"/vector-bytes-each", "bytes", float64(before.VectorBytes)/float64(holders))

	w, err := main.Fork("writer", engine.NoSync)
	if err != nil {
		return err
	}
	const calm, beside, during = "before-the-swap", "beside-a-busy-core", "during-the-swap"
	writes := startWriter(w, calm, beside, during)
	writes.calm(calm, beside)
	writes.enter(during)
	clock.lap()
	err = s.Compact()
	took := clock.lap()
	if err := errors.Join(err, writes.stop(out, name)); err != nil {
		return err
	}
	out.add(name+"/swap", "s", took)
	after := s.Stats()
	if translated := after.VectorsTranslated - before.VectorsTranslated; translated < uint64(holders) {
		return fmt.Errorf("of %d vectors %d were carried over", holders, translated)
	}
	return checkHolders(s, rows, holders)
}

// twoRuns writes every other row, and then the rest, so that there is something to
// merge.
func twoRuns(s *engine.Store, f *engine.Fork, rows int) error {
	var k, v []byte
	for half := range 2 {
		b := s.NewBatch()
		for i := half; i < rows; i += 2 {
			k, v = key(k, i), value(v, i, "main")
			b.Set(f, k, v)
			if b.Len() == batchRows {
				if err := b.Commit(engine.NoSync); err != nil {
					return err
				}
			}
		}
		if err := errors.Join(b.Commit(engine.NoSync), s.Flush()); err != nil {
			return err
		}
	}
	return nil
}

func holderName(i int) string { return fmt.Sprintf("holder-%06d", i) }

// checkHolders looks at some forks: each lacks its row, and no other.
func checkHolders(s *engine.Store, rows, holders int) error {
	var k []byte
	for i := 0; i < holders; i += max(1, holders/500) {
		f, err := s.Fork(holderName(i))
		if err != nil {
			return err
		}
		for _, row := range []int{i % rows, (i + 1) % rows} {
			k = key(k, row)
			_, err := f.Get(k)
			if gone := errors.Is(err, engine.ErrNotFound); gone != (row == i%rows) || err != nil && !gone {
				return fmt.Errorf("%s: row %d is gone: %v, %w", holderName(i), row, gone, err)
			}
		}
	}
	return nil
}
