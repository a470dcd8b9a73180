package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tinedb/tine/engine"
)

// forkDrops drops many forks, each of which has a row of its own in tables, in one go,
// while somebody else writes at a steady pace. It notes what a drop costs who drops,
// how fast the background takes the dropped forks apart, and what the writer notices.
func forkDrops(out *figures, b bed, forks, round int) error {
	const name = "fork/drop"
	writer, err := b.main.Fork(fmt.Sprintf("writer-%d", round), engine.NoSync)
	if err != nil {
		return err
	}
	if err := b.store.Settle(); err != nil {
		return err
	}
	before := b.store.Stats()
	made, err := forksWithARow(b, forks, fmt.Sprintf("d%d", round))
	if err != nil {
		return err
	}
	full := b.store.Stats()
	if full.Nodes < before.Nodes+forks || full.MemoryNodes > 0 {
		return fmt.Errorf("%d forks with a row each have %d nodes, %d of them in memory", forks, full.Nodes-before.Nodes, full.MemoryNodes)
	}
	const idle, beside, dropping, reclaiming = "before", "beside-a-busy-core", "during-drops", "during-reclaim"
	w := startWriter(writer, idle, beside, dropping, reclaiming)
	w.calm(idle, beside)
	w.enter(dropping)
	took := make([]float64, 0, forks)
	begun := startClock()
	for _, f := range made {
		c := startClock()
		err = f.Drop(engine.NoSync)
		took = append(took, c.lap()*1e6)
		if err != nil {
			break
		}
	}
	w.enter(reclaiming)
	if err == nil {
		err = untilNodes(b.store, before.Nodes+writerNodes)
	}
	reclaimed := begun.lap()
	time.Sleep(10 * time.Millisecond) // so that there is a write at all
	if err := errors.Join(err, w.stop(out, name)); err != nil {
		return err
	}
	slices.Sort(took)
	out.add(name+"/nosync/p50", "us", percentile(took, 50))
	out.add(name+"/nosync/p99", "us", percentile(took, 99))
	out.add(name+"/reclaimed", "forks/s", float64(forks)/reclaimed)
	if err := writer.Drop(engine.NoSync); err != nil {
		return err
	}
	if err := b.store.Settle(); err != nil {
		return err
	}
	c := startClock()
	if err := b.store.Verify(); err != nil {
		return err
	}
	progress("%s: verified in %.1f s", name, c.lap())
	return nil
}

// writerNodes is how many nodes the writer may have made meanwhile.
const writerNodes = 8

// untilNodes waits until the tree has shrunk to a number of nodes.
func untilNodes(s *engine.Store, nodes int) error {
	deadline := time.Now().Add(5 * time.Minute)
	for {
		n := s.Stats().Nodes
		if n <= nodes {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d nodes are left of dropped forks", n-nodes)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// forksWithARow forks main, writes one row to each fork, brings the rows to tables and
// checks some.
func forksWithARow(b bed, forks int, label string) ([]*engine.Fork, error) {
	made := make([]*engine.Fork, 0, forks)
	var k, v []byte
	for i := range forks {
		f, err := b.main.Fork(fmt.Sprintf("%s-%d", label, i), engine.NoSync)
		if err != nil {
			return nil, err
		}
		k, v = key(k, i), value(v, i, label)
		if err := f.Set(k, v, engine.NoSync); err != nil {
			return nil, err
		}
		made = append(made, f)
	}
	if err := b.store.Flush(); err != nil {
		return nil, err
	}
	if err := b.store.Settle(); err != nil {
		return nil, err
	}
	for i := 0; i < forks; i += max(1, forks/100) {
		k, v = key(k, i), value(v, i, label)
		if got, err := made[i].Get(k); err != nil || string(got) != string(v) {
			return nil, fmt.Errorf("fork %d reads %q, %v instead of %q", i, got, err, v)
		}
	}
	return made, nil
}
