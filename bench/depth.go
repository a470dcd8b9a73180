package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tinedb/tine/engine"
)

// depthSuite measures reads of a fork at depth 0, 64 and 1024 of a chain in which
// each fork is made of the one before: once without writes between the forks, and
// once with a write in each, left to background work without an explicit flush.
func depthSuite(cfg config, out *figures) error {
	rows := 1_000_000
	if cfg.quick {
		rows = 200_000
	}
	s, base, err := load(filepath.Join(cfg.dir, "depth"), rows)
	if err != nil {
		return err
	}
	defer s.Close()
	depths := []int{0, 64, 1024}
	for _, chain := range []struct {
		name   string
		writes int
	}{{"no-writes", 0}, {"a-write-each", 1}, {"100-writes-each", 100}} {
		at, err := makeChain(s, base, chain.name, chain.writes, rows, depths)
		if err != nil {
			return err
		}
		for range cfg.rounds {
			shallow := map[string]float64{}
			for _, d := range depths {
				r := readCost{f: at[d], rows: rows}
				for _, c := range []struct {
					name, unit string
					measure    func() (float64, error)
				}{
					{"get", "us", r.gets}, {"miss", "us", r.misses}, {"scan", "ns/row", r.scan}, {"get-allocs", "allocs/op", r.getAllocs},
				} {
					cost, err := c.measure()
					if err != nil {
						return fmt.Errorf("%s at depth %d: %w", c.name, d, err)
					}
					name := fmt.Sprintf("depth/%s/%s/depth-%d", chain.name, c.name, d)
					out.add(name, c.unit, cost)
					if d == 0 {
						shallow[c.name] = cost
					} else if shallow[c.name] > 0 {
						out.add(name+"/vs-depth0", "ratio", cost/shallow[c.name])
					}
				}
			}
		}
	}
	return nil
}

// makeChain forks base depths-deep, with some writes in each fork, waits until
// background work is at rest, and gives the forks at the wanted depths. Every
// fork stays alive.
func makeChain(s *engine.Store, base *engine.Fork, name string, writes, rows int, depths []int) (map[int]*engine.Fork, error) {
	at := map[int]*engine.Fork{0: base}
	f := base
	var k, v []byte
	r := rand.New(rand.NewPCG(1, 2))
	b := s.NewBatch()
	for d := 1; d <= depths[len(depths)-1]; d++ {
		child, err := f.Fork(fmt.Sprintf("%s/%d", name, d), engine.NoSync)
		if err != nil {
			return nil, err
		}
		f = child
		for range writes {
			i := r.IntN(rows)
			k, v = key(k, i), value(v, i, "main") // the same content, so that answers can be compared
			b.Set(f, k, v)
		}
		if err := b.Commit(engine.NoSync); err != nil {
			return nil, err
		}
		for _, want := range depths {
			if d == want {
				at[d] = f
			}
		}
	}
	return at, s.Settle()
}

// readCost measures one fork.
type readCost struct {
	f    *engine.Fork
	rows int
}

const readOps = 200_000

func (c readCost) gets() (float64, error) {
	r := rand.New(rand.NewPCG(3, 4))
	var k, v, got []byte
	var err error
	start := time.Now()
	for i := range readOps {
		n := r.IntN(c.rows)
		k = key(k, n)
		if got, err = c.f.AppendGet(got[:0], k); err != nil {
			return 0, err
		}
		if i%1000 == 0 {
			if v = value(v, n, "main"); !bytes.Equal(got, v) {
				return 0, fmt.Errorf("row %d is %q instead of %q", n, got, v)
			}
		}
	}
	return float64(time.Since(start).Nanoseconds()) / readOps / 1000, nil
}

func (c readCost) misses() (float64, error) {
	r := rand.New(rand.NewPCG(5, 6))
	var k, got []byte
	start := time.Now()
	for range readOps {
		k = append(key(k, r.IntN(c.rows)), 'x')
		if _, err := c.f.AppendGet(got[:0], k); err == nil {
			return 0, fmt.Errorf("row %q should not be there", k)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / readOps / 1000, nil
}

func (c readCost) scan() (float64, error) {
	it, err := c.f.NewIter(engine.Range{})
	if err != nil {
		return 0, err
	}
	n, bytesRead := 0, 0
	start := time.Now()
	for ok := it.First(); ok; ok = it.Next() {
		n++
		bytesRead += len(it.Value())
	}
	took := time.Since(start)
	if err := it.Close(); err != nil {
		return 0, err
	}
	if n != c.rows || bytesRead != c.rows*valueBytes {
		return 0, fmt.Errorf("a scan gives %d rows and %d bytes, not %d and %d", n, bytesRead, c.rows, c.rows*valueBytes)
	}
	return float64(took.Nanoseconds()) / float64(n), nil
}

func (c readCost) getAllocs() (float64, error) {
	r := rand.New(rand.NewPCG(3, 4))
	k, got := make([]byte, 0, 32), make([]byte, 0, 256)
	keys := make([][]byte, 10_000)
	for i := range keys {
		k = key(k, r.IntN(c.rows))
		keys[i] = append([]byte(nil), k...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, k := range keys {
		var err error
		if got, err = c.f.AppendGet(got[:0], k); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(len(keys)), nil
}
