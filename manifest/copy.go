package manifest

import (
	"cmp"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

const (
	// sliceBytes is the longest payload of a slice, unless one object alone is
	// longer: how long the log's lock is held at a time, some tens of
	// microseconds.
	sliceBytes = 64<<10 - frameHeaderBytes
	// gatherKeys is how many ids are noted under one hold of the lock.
	gatherKeys = 4096
)

// records is one kind of object: where the state has it, how its keys are ordered,
// and how one is written.
type records[K comparable, V any] struct {
	of      func(*State) map[K]V
	compare func(a, b K) int
	encode  func(dst []byte, key K, value *V) []byte
}

var (
	tableRecords = records[ids.TableID, sstable.Meta]{
		of:      func(s *State) map[ids.TableID]sstable.Meta { return s.Tables },
		compare: cmp.Compare[ids.TableID],
		encode:  func(dst []byte, _ ids.TableID, m *sstable.Meta) []byte { return appendPutTable(dst, m) },
	}
	nodeRecords = records[ids.NodeID, Node]{
		of:      func(s *State) map[ids.NodeID]Node { return s.Nodes },
		compare: cmp.Compare[ids.NodeID],
		encode:  func(dst []byte, _ ids.NodeID, n *Node) []byte { return appendPutNode(dst, n) },
	}
	chunkRecords = records[ids.ChunkID, []ids.TableID]{
		of:      func(s *State) map[ids.ChunkID][]ids.TableID { return s.Chunks },
		compare: cmp.Compare[ids.ChunkID],
		encode: func(dst []byte, id ids.ChunkID, tables *[]ids.TableID) []byte {
			return appendPutChunk(dst, &Chunk{ID: id, Tables: *tables})
		},
	}
	snapshotRecords = records[ids.SnapshotID, Snapshot]{
		of:      func(s *State) map[ids.SnapshotID]Snapshot { return s.Snapshots },
		compare: cmp.Compare[ids.SnapshotID],
		encode:  func(dst []byte, _ ids.SnapshotID, p *Snapshot) []byte { return appendPutSnapshot(dst, p) },
	}
	vectorRecords = records[MarksKey, *sstable.Vector]{
		of:      func(s *State) map[MarksKey]*sstable.Vector { return s.Marks },
		compare: compareMarksKeys,
		encode: func(dst []byte, k MarksKey, v **sstable.Vector) []byte {
			return appendAddMarks(dst, &Marks{k.Node, k.Table, *v})
		},
	}
)

// copyState writes counters and objects into f, in slices, each kind by rising
// id. Between slices transactions go on; an object that comes or goes meanwhile
// may be in the copy or not, and a vector may have grown. rest is called after each
// slice. It stops when the log is poisoned or closed.
func (l *Log) copyState(f *file, forks forkSource, rest func()) error {
	l.mu.Lock()
	counters := appendCounters(nil, l.mu.state.Counters)
	l.mu.Unlock()
	f.add(frameSlice, counters)
	if err := copyObjects(l, f, tableRecords, rest); err != nil {
		return err
	}
	if err := copyObjects(l, f, chunkRecords, rest); err != nil {
		return err
	}
	if err := copyObjects(l, f, nodeRecords, rest); err != nil {
		return err
	}
	if err := l.copyForks(f, forks, rest); err != nil {
		return err
	}
	if err := copyObjects(l, f, snapshotRecords, rest); err != nil {
		return err
	}
	if err := copyObjects(l, f, vectorRecords, rest); err != nil {
		return err
	}
	return f.flush()
}

// forkSource gives forks as Options.Forks does.
type forkSource = func(after ids.ForkID, limit int) ([]Fork, error)

// forksAtOnce is how many forks are asked for under one hold of a lock.
const forksAtOnce = 512

// copyForks writes the forks, by rising id. Those that come meanwhile are in
// transactions that the rewrite repeats; their ids are not below NextID as it is now, so
// that is where it ends, and nobody who makes forks fast can keep it from ending.
func (l *Log) copyForks(f *file, source forkSource, rest func()) error {
	l.mu.Lock()
	end := ids.ForkID(l.mu.state.NextID)
	l.mu.Unlock()
	var payload []byte
	for after := ids.ForkID(0); ; {
		forks, err := source(after, forksAtOnce)
		if err == nil {
			err = l.healthy()
		}
		if err != nil {
			return err
		}
		for len(forks) > 0 && forks[len(forks)-1].ID >= end {
			forks = forks[:len(forks)-1]
		}
		if len(forks) == 0 {
			break
		}
		after = forks[len(forks)-1].ID
		for i := range forks {
			before := len(payload)
			payload = appendPutFork(payload, &forks[i])
			if len(payload) > sliceBytes {
				f.add(frameSlice, payload[:before])
				payload = append(payload[:0], payload[before:]...)
			}
		}
		if len(f.buf) >= sliceBytes {
			if err := f.flush(); err != nil {
				return err
			}
		}
		rest()
	}
	if len(payload) > 0 {
		f.add(frameSlice, payload)
	}
	return nil
}

// ownForks is the source of a log that keeps the forks itself.
func (l *Log) ownForks(after ids.ForkID, limit int) ([]Fork, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.state.Forks.After(after, limit), nil
}

func (l *Log) healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.healthyLocked()
}

// copyObjects writes the objects of one kind.
func copyObjects[K comparable, V any](l *Log, f *file, kind records[K, V], rest func()) error {
	keys, err := gather(l, kind)
	if err != nil {
		return err
	}
	var payload []byte
	for len(keys) > 0 {
		payload, keys, err = encodeSlice(l, payload[:0], keys, kind)
		if err != nil {
			return err
		}
		if len(payload) > 0 {
			f.add(frameSlice, payload)
		}
		if len(f.buf) >= sliceBytes {
			if err := f.flush(); err != nil {
				return err
			}
		}
		rest()
	}
	return nil
}

// gather notes the ids of one kind of object. The lock is released between
// portions, in the middle of ranging over the map: the language allows a map to
// change under a range, and promises each entry that is there all the time
// exactly once. What comes or goes meanwhile is in a transaction that the
// rewrite repeats.
func gather[K comparable, V any](l *Log, kind records[K, V]) ([]K, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]K, 0, len(kind.of(l.mu.state)))
	for k := range kind.of(l.mu.state) {
		keys = append(keys, k)
		if len(keys)%gatherKeys != 0 {
			continue
		}
		l.mu.Unlock()
		l.mu.Lock()
		if err := l.healthyLocked(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, kind.compare)
	return keys, nil
}

// encodeSlice extends payload with the objects of the first keys, as many as
// fit, and returns the keys that are left. An object that is gone is skipped.
func encodeSlice[K comparable, V any](l *Log, payload []byte, keys []K, kind records[K, V]) ([]byte, []K, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.healthyLocked(); err != nil {
		return nil, nil, err
	}
	for len(keys) > 0 {
		if v, ok := kind.of(l.mu.state)[keys[0]]; ok {
			before := len(payload)
			payload = kind.encode(payload, keys[0], &v)
			if len(payload) > sliceBytes && before > 0 {
				return payload[:before], keys, nil
			}
		}
		keys = keys[1:]
	}
	return payload, keys, nil
}
