package limits

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// sizes is a run with keys, values, batches and names of the greatest length. It
// keeps a checksum of each large value, for a copy would be as large.
type sizes struct {
	counts  *fuzz.Counts
	dir     string
	options engine.Options
	store   *engine.Store
	fork    *engine.Fork
	want    map[string]uint64 // checksums by key
}

// opOverheadBytes is what a write counts in a batch beside its key and value.
const opOverheadBytes = 16

// Sizes writes what is just within each limit and takes it through log, tables and
// a reopen, in dir, which is empty. What is one over is refused and leaves no
// trace.
func Sizes(dir string, options engine.Options, counts *fuzz.Counts) error {
	s := &sizes{counts: counts, dir: dir, options: options, want: map[string]uint64{}}
	if err := s.open(); err != nil {
		return err
	}
	if err := s.names(); err != nil {
		return fmt.Errorf("names: %w", err)
	}
	if err := s.keys(); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := s.values(); err != nil {
		return fmt.Errorf("values: %w", err)
	}
	if err := s.batches(); err != nil {
		return fmt.Errorf("batches: %w", err)
	}
	for _, step := range []func() error{
		s.reopen, func() error { return s.store.Flush() }, s.compare, func() error { return s.store.Compact() }, s.reopen, s.compare,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := s.store.Verify(); err != nil {
		return err
	}
	return s.store.Close()
}

func (s *sizes) open() error {
	store, err := engine.Open(s.dir, &s.options)
	if err != nil {
		return err
	}
	s.store = store
	s.fork, err = store.Fork(engine.MainFork)
	return err
}

func (s *sizes) reopen() error {
	if err := s.store.Close(); err != nil {
		return err
	}
	s.counts.Add("reopens", 1)
	return s.open()
}

// over demands that err is ErrLimit and that nothing was written, not even a
// number used.
func (s *sizes) over(what string, before engine.Stats, err error) error {
	if !errors.Is(err, engine.ErrLimit) {
		return fmt.Errorf("%s: %v, want ErrLimit", what, err)
	}
	after := s.store.Stats()
	if after.LastLSN != before.LastLSN || after.MemtableBytes != before.MemtableBytes || after.WALBytes != before.WALBytes ||
		after.Forks != before.Forks || after.Snapshots != before.Snapshots {
		return fmt.Errorf("%s: it is refused, but something changed", what)
	}
	s.counts.Add("refused: one over", 1)
	return nil
}

func (s *sizes) names() error {
	longest := strings.Repeat("n", engine.MaxNameBytes)
	fork, err := s.fork.Fork(longest, engine.NoSync)
	if err != nil {
		return err
	}
	snapshot, err := fork.Snapshot(longest, engine.NoSync)
	if err != nil {
		return err
	}
	again, err := snapshot.Fork("renamed", engine.NoSync)
	if err != nil {
		return err
	}
	if err := again.Rename(longest[1:]+"x", engine.NoSync); err != nil {
		return err
	}
	s.counts.Add("done: at the limit", 4)
	before := s.store.Stats()
	_, forked := s.fork.Fork(longest + "n")
	_, snapped := s.fork.Snapshot(longest + "n")
	_, forkedSnapshot := snapshot.Fork(longest + "n")
	for what, err := range map[string]error{
		"fork": forked, "snapshot": snapped, "fork of a snapshot": forkedSnapshot,
		"rename": fork.Rename(longest + "n"), "rename of a snapshot": snapshot.Rename(longest + "n"),
	} {
		if err := s.over(what+" with a long name", before, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *sizes) keys() error {
	key := bytes.Repeat([]byte{0xff}, engine.MaxKeyBytes)
	for i := range 3 { // keys that differ in their last byte only
		key[len(key)-1] = byte(i)
		if err := s.set(key, []byte("v")); err != nil {
			return err
		}
	}
	if err := s.set([]byte{0}, nil); err != nil { // the shortest key, the shortest value
		return err
	}
	s.counts.Add("done: at the limit", 4)
	for what, key := range map[string][]byte{"a long key": append(key, 'x'), "an empty key": nil} {
		before := s.store.Stats()
		if err := s.over("set of "+what, before, s.fork.Set(key, nil)); err != nil {
			return err
		}
		if err := s.over("delete of "+what, before, s.fork.Delete(key)); err != nil {
			return err
		}
		if v, err := s.fork.Get(key); err == nil {
			return fmt.Errorf("get of %s gives %q", what, v)
		}
	}
	return nil
}

func (s *sizes) values() error {
	value := noise(engine.MaxValueBytes, 1)
	if err := s.set([]byte("noise"), value); err != nil {
		return err
	}
	clear(value)
	if err := s.set([]byte("zeros"), value); err != nil {
		return err
	}
	s.counts.Add("done: at the limit", 2)
	return s.over("set of a long value", s.store.Stats(), s.fork.Set([]byte("long"), append(value, 0)))
}

// batches fills a batch to its last byte.
func (s *sizes) batches() error {
	const parts = 5
	b := s.store.NewBatch()
	for i := range parts {
		key := fmt.Appendf(nil, "batch%d", i)
		size := engine.MaxBatchBytes/parts - len(key) - opOverheadBytes
		if i == parts-1 {
			size = engine.MaxBatchBytes - b.Bytes() - len(key) - opOverheadBytes
		}
		value := noise(size, uint64(i))
		s.note(key, value)
		b.Set(s.fork, key, value)
	}
	if b.Bytes() != engine.MaxBatchBytes {
		return fmt.Errorf("the batch counts %d bytes", b.Bytes())
	}
	if err := b.Commit(); err != nil {
		return err
	}
	s.counts.Add("done: at the limit", 1)
	before := s.store.Stats()
	for i := range parts {
		b.Set(s.fork, fmt.Appendf(nil, "batch%d", i), make([]byte, engine.MaxBatchBytes/parts))
	}
	if err := s.over("a batch of too many bytes", before, b.Commit()); err != nil {
		return err
	}
	return s.over("the same batch again", before, b.Commit())
}

func (s *sizes) set(key, value []byte) error {
	s.note(key, value)
	return s.fork.Set(key, value, engine.NoSync)
}

func (s *sizes) note(key, value []byte) { s.want[string(key)] = checksum(value) }

func checksum(value []byte) uint64 { return xxhash.Sum64(value) }

// compare reads everything, by gets and by a scan.
func (s *sizes) compare() error {
	var buf []byte
	for key, want := range s.want {
		var err error
		if buf, err = s.fork.AppendGet(buf[:0], []byte(key)); err != nil {
			return fmt.Errorf("get %.20q: %w", key, err)
		}
		if checksum(buf) != want {
			return fmt.Errorf("get %.20q: a value of %d bytes is another one", key, len(buf))
		}
	}
	rows, failed := s.fork.Scan(engine.Range{})
	found := 0
	for key, value := range rows {
		if want, known := s.want[string(key)]; !known || checksum(value) != want {
			return fmt.Errorf("scan: row %.20q with a value of %d bytes is another one", key, len(value))
		}
		found++
	}
	if found != len(s.want) && failed() == nil {
		return fmt.Errorf("scan: %d rows, want %d", found, len(s.want))
	}
	s.counts.Add("rows compared", found)
	return failed()
}

// noise is bytes that do not compress.
func noise(size int, seed uint64) []byte {
	out := make([]byte, size)
	state := rand.NewPCG(seed, 11)
	for i := 0; i+8 <= size; i += 8 {
		x := state.Uint64()
		for j := range 8 {
			out[i+j] = byte(x >> (8 * j))
		}
	}
	return out
}
