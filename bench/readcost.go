package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/tinedb/tine/engine"
)

// readCost measures reads of one fork, and checks them.
type readCost struct {
	f               *engine.Fork
	rows            int
	content         link
	getOps, seekOps int // operations of one measurement
}

const (
	seekRows   = 50
	readSlices = 5 // of a measurement
)

func newReadCost(cfg config, l link, rows int) readCost {
	c := readCost{f: l.fork, rows: rows, content: l, getOps: 40_000, seekOps: 4000}
	if cfg.quick {
		c.getOps, c.seekOps = 8000, 800
	}
	return c
}

// readKind is one way to read; measure gives its cost once.
type readKind struct {
	name, unit string
	measure    func(readCost) (float64, error)
}

var readKinds = []readKind{
	{"get", "us", readCost.gets}, {"miss", "us", readCost.misses}, {"seek-50", "us", readCost.seeks}, {"scan", "ns/row", readCost.scan},
	{"reverse-scan", "ns/row", readCost.reverseScan}, {"get-allocs", "allocs/op", readCost.getAllocs},
}

// interleaved gives the cost of a kind of read of each reader, as the median of a few
// slices. The readers take turns slice by slice, since ratios between them are what
// counts and the machine may have other work.
func (m readKind) interleaved(readers []readCost) ([]float64, error) {
	slice := make([][]float64, len(readers))
	for range readSlices {
		for i, r := range readers {
			cost, err := m.measure(r)
			if err != nil {
				return nil, err
			}
			slice[i] = append(slice[i], cost)
		}
	}
	costs := make([]float64, len(readers))
	for i, s := range slice {
		slices.Sort(s)
		costs[i] = percentile(s, 50)
	}
	return costs, nil
}

// check reads all rows once, so that they are in the cache, and looks at some: each has
// what its last writer wrote on this path.
func (c readCost) check() error {
	if _, err := c.scan(); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(9, 10))
	var k, v, got []byte
	var err error
	for range 20_000 {
		i := r.IntN(c.rows)
		k, v = key(k, i), c.content.value(v, i)
		if got, err = c.f.AppendGet(got[:0], k); err != nil || !bytes.Equal(got, v) {
			return fmt.Errorf("row %d is %q, %v instead of %q", i, got, err, v)
		}
	}
	return nil
}

func (c readCost) gets() (float64, error) {
	r := rand.New(rand.NewPCG(3, 4))
	var k, v, got []byte
	var err error
	start := time.Now()
	for i := range c.getOps {
		n := r.IntN(c.rows)
		k = key(k, n)
		if got, err = c.f.AppendGet(got[:0], k); err != nil {
			return 0, err
		}
		if i%1000 == 0 {
			if v = c.content.value(v, n); !bytes.Equal(got, v) {
				return 0, fmt.Errorf("row %d is %q instead of %q", n, got, v)
			}
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(c.getOps) / 1000, nil
}

func (c readCost) misses() (float64, error) {
	r := rand.New(rand.NewPCG(5, 6))
	var k, got []byte
	start := time.Now()
	for range c.getOps {
		k = append(key(k, r.IntN(c.rows)), 'x')
		if _, err := c.f.AppendGet(got[:0], k); !errors.Is(err, engine.ErrNotFound) {
			return 0, fmt.Errorf("row %q should not be there: %w", k, err)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(c.getOps) / 1000, nil
}

// seeks opens an iterator, seeks a row and reads some, again and again.
func (c readCost) seeks() (float64, error) {
	r := rand.New(rand.NewPCG(7, 8))
	var k []byte
	start := time.Now()
	for range c.seekOps {
		k = key(k, r.IntN(c.rows))
		it, err := c.f.NewIter(engine.Range{})
		if err != nil {
			return 0, err
		}
		n, size := 0, 0
		ok := it.SeekGE(k)
		if !ok || !bytes.Equal(it.Key(), k) {
			return 0, errors.Join(fmt.Errorf("a seek to %q finds %v, %q", k, ok, it.Key()), it.Close())
		}
		for ; ok && n < seekRows; ok = it.Next() {
			n++
			size += len(it.Value())
		}
		if err := it.Close(); err != nil {
			return 0, err
		}
		if size != n*valueBytes {
			return 0, fmt.Errorf("%d rows have %d bytes of values", n, size)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(c.seekOps) / 1000, nil
}

func (c readCost) scan() (float64, error) {
	return c.walk((*engine.Iterator).First, (*engine.Iterator).Next)
}

func (c readCost) reverseScan() (float64, error) {
	return c.walk((*engine.Iterator).Last, (*engine.Iterator).Prev)
}

func (c readCost) walk(first, next func(*engine.Iterator) bool) (float64, error) {
	it, err := c.f.NewIter(engine.Range{})
	if err != nil {
		return 0, err
	}
	n, bytesRead := 0, 0
	start := time.Now()
	for ok := first(it); ok; ok = next(it) {
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
	keys := make([][]byte, 1000)
	for i := range keys {
		k = key(k, r.IntN(c.rows))
		keys[i] = bytes.Clone(k)
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
