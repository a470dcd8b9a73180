package main

import (
	"fmt"
	"math/rand/v2"
)

// coldFlush deletes some random rows of a store that has nothing in any cache, neither
// its own nor the operating system's, while an old state is alive, and flushes. It
// notes time and I/O of the deletes, of the flush and of what follows in the
// background (one store may do at once what the other leaves for later, so the sums
// are what is compared), and the bytes written for one delete.
//
// Bytes are those of the process's reads and writes (from-disk: of those, what the
// storage had to be asked for), and the store's own count of what it wrote to tables.
func coldFlush(p peer, r *result, n deleteSizes) error {
	if err := p.keepOld(); err != nil {
		return err
	}
	rows := rand.New(rand.NewPCG(13, 14)).Perm(n.rows)[:n.coldDeletes]
	flushed0, compacted0 := p.wrote()
	written, err := coldPhases(p, r, rows)
	if err != nil {
		return err
	}
	flushed, compacted := p.wrote()

	each := func(bytes uint64) float64 { return float64(bytes) / float64(len(rows)) }
	r.cost("bytes-written-per-delete", "bytes", each(written))
	r.cost("table-bytes-flushed-per-delete", "bytes", each(flushed-flushed0))
	r.cost("table-bytes-compacted-per-delete", "bytes", each(compacted-compacted0))
	r.show("marks-or-tombstones", "rows", float64(p.hiding()))
	if err := r.answer(p, "what is left", false, n.rows-len(rows)); err != nil {
		return err
	}
	return r.answer(p, "the old state", true, n.rows)
}

// coldPhases deletes, flushes and settles, notes what each costs and what all three
// cost, and gives the bytes written.
func coldPhases(p peer, r *result, rows []int) (written uint64, err error) {
	var k []byte
	deletes := func() error {
		return inBatches(p, len(rows), func(i int) {
			k = key(k, rows[i])
			p.del(k)
		})
	}
	var seconds float64
	var all ioCounts
	for _, phase := range []struct {
		name string
		do   func() (seconds float64, err error)
	}{{"deletes", timed(deletes)}, {"flush", timed(p.flush)}, {"settle", p.settle}} {
		took, io, err := measureIO(phase.do)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", phase.name, err)
		}
		r.show(phase.name+"/wall", "s", took)
		r.show(phase.name+"/read", "MiB", mib(io.read))
		r.show(phase.name+"/read-from-disk", "MiB", mib(io.fromDisk))
		r.show(phase.name+"/written", "MiB", mib(io.written))
		seconds += took
		all = all.plus(io)
	}
	r.cost("wall", "s", seconds)
	r.cost("read", "MiB", mib(all.read))
	r.cost("read-from-disk", "MiB", mib(all.fromDisk))
	return all.written, nil
}

// measureIO gives the time and the I/O of one phase.
func measureIO(do func() (seconds float64, err error)) (seconds float64, io ioCounts, err error) {
	before, err := processIO()
	if err != nil {
		return 0, io, err
	}
	if seconds, err = do(); err != nil {
		return 0, io, err
	}
	after, err := processIO()
	return seconds, after.minus(before), err
}

func timed(do func() error) func() (float64, error) {
	return func() (float64, error) {
		c := startClock()
		err := do()
		return c.lap(), err
	}
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
