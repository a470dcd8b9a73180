package wal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
)

// FuzzOps: operations that a batch may hold are walked to their end, are written
// again as the same bytes, and hostile lengths allocate nothing.
func FuzzOps(f *testing.F) {
	ops := AppendOp(nil, iterator.Set, []byte("key"), []byte("value"))
	ops = AppendOp(ops, iterator.Tombstone, []byte("gone"), nil)
	f.Add(AppendOp(ops, iterator.Set, nil, nil))
	f.Add(ops[:len(ops)-1])
	f.Add([]byte{1, 0xff, 0xff, 0x03, 0x80, 0x80, 0x80, 0x20})
	f.Add([]byte{2, 0x80, 0x00})
	f.Add(AppendOp(ops, iterator.RangeDelete, []byte("a"), []byte("b")))
	f.Add(AppendOp(ops, iterator.RangeDelete, nil, nil))
	f.Add([]byte{3, 1, 1, 'b', 'a'})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var again []byte
		n := uint32(0)
		r := NewOpReader(ops)
		for {
			kind, key, value, ok := r.Next()
			if !ok {
				break
			}
			require.True(t, kind == iterator.Set || kind == iterator.Tombstone && len(value) == 0 ||
				kind == iterator.RangeDelete && (len(value) == 0 || string(key) < string(value)))
			again = AppendOp(again, kind, key, value)
			n++
		}
		require.Equal(t, r.Err() == nil, checkOps(ops, n) == nil)
		require.Error(t, checkOps(ops, n+1))
		if r.Err() != nil {
			require.ErrorIs(t, r.Err(), ErrBadPayload)
			require.Less(t, len(again), len(ops))
			require.Equal(t, string(again), string(ops[:len(again)]))
			return
		}
		require.Equal(t, string(ops), string(again))
	})
}
