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

// copyState writes counters and objects into f, in slices, each kind by rising
// id. Between slices transactions go on; an object that comes or goes meanwhile
// may be in the copy or not. It stops when the log is poisoned or closed.
func (l *Log) copyState(f *file) error {
	l.mu.Lock()
	counters := appendCounters(nil, l.mu.state.Counters)
	l.mu.Unlock()
	f.add(frameSlice, counters)
	if err := copyObjects(l, f, func(s *State) map[ids.TableID]sstable.Meta { return s.Tables }, appendPutTable); err != nil {
		return err
	}
	if err := copyObjects(l, f, func(s *State) map[ids.NodeID]Node { return s.Nodes }, appendPutNode); err != nil {
		return err
	}
	if err := copyObjects(l, f, func(s *State) map[ids.ForkID]Fork { return s.Forks }, appendPutFork); err != nil {
		return err
	}
	if err := copyObjects(l, f, func(s *State) map[ids.SnapshotID]Snapshot { return s.Snapshots }, appendPutSnapshot); err != nil {
		return err
	}
	return f.flush()
}

// copyObjects writes the objects of one kind.
func copyObjects[K cmp.Ordered, V any](l *Log, f *file, objects func(*State) map[K]V, encode func([]byte, *V) []byte) error {
	keys, err := gather(l, objects)
	if err != nil {
		return err
	}
	var payload []byte
	for len(keys) > 0 {
		payload, keys, err = encodeSlice(l, payload[:0], keys, objects, encode)
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
	}
	return nil
}

// gather notes the ids of one kind of object. The lock is released between
// portions, in the middle of ranging over the map: the language allows a map to
// change under a range, and promises each entry that is there all the time
// exactly once. What comes or goes meanwhile is in a transaction that the
// rewrite repeats.
func gather[K cmp.Ordered, V any](l *Log, objects func(*State) map[K]V) ([]K, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]K, 0, len(objects(l.mu.state)))
	for k := range objects(l.mu.state) {
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
	slices.Sort(keys)
	return keys, nil
}

// encodeSlice extends payload with the objects of the first keys, as many as
// fit, and returns the keys that are left. An object that is gone is skipped.
func encodeSlice[K cmp.Ordered, V any](l *Log, payload []byte, keys []K, objects func(*State) map[K]V, encode func([]byte, *V) []byte) ([]byte, []K, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.healthyLocked(); err != nil {
		return nil, nil, err
	}
	for len(keys) > 0 {
		if v, ok := objects(l.mu.state)[keys[0]]; ok {
			before := len(payload)
			payload = encode(payload, &v)
			if len(payload) > sliceBytes && before > 0 {
				return payload[:before], keys, nil
			}
		}
		keys = keys[1:]
	}
	return payload, keys, nil
}
