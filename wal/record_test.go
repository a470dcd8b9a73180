package wal

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// codec is one kind of payload: a value with every field set and how to decode
// it.
type codec struct {
	kind    Kind
	value   any
	encoded []byte
	decode  func([]byte) (any, error)
}

func decoder[T any](decode func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return decode(b) }
}

func codecs() []codec {
	freeze := Freeze{Fork: 0x11, Node: 0x22, Older: 0x33, NewMemtable: 0x44}
	ops := AppendOp(nil, iterator.Set, []byte("key"), []byte("value"))
	ops = AppendOp(ops, iterator.Tombstone, []byte("gone"), nil)
	ops = AppendOp(ops, iterator.Set, nil, nil)
	ops = AppendOp(ops, iterator.Set, bytes.Repeat([]byte("k"), 200), bytes.Repeat([]byte("v"), 222))
	parts := []BatchPart{
		{Fork: 1, Memtable: 2, Count: 4, Ops: ops},
		{Fork: 3, Memtable: 1 << 63, Count: 0, Ops: []byte{}},
		{Fork: 4, Memtable: 5, Count: 1, Ops: AppendOp(nil, iterator.Tombstone, []byte("x"), nil)},
		{Fork: 6, Memtable: 7, Count: 4, Ops: rangeOps()},
		{Fork: 8, Memtable: 9, Count: 1, Ops: AppendOp(nil, iterator.RangeDelete, nil, nil)},
	}
	fork := Fork{Freeze: freeze, Parent: 0x55, Child: 0x66, Name: "agent-7", Top: 0x77, Memtable: 0x88, CreatedUnixNano: -9, FromSnapshot: 0x99}
	snapshot := Snapshot{Freeze: freeze, ID: 1, Name: strings.Repeat("n", MaxNameBytes), Node: 2, Fork: 3, CreatedUnixNano: 1 << 60}
	image := NodeImage{Node: 7, Older: 6, Ops: ops, Count: 4}
	rename := Rename{Fork: 5, Name: "b"}
	renameSnapshot := RenameSnapshot{ID: 5, Name: ""}
	many := ForkMany{
		Freeze: freeze, Parent: 0x55, First: 0x66, Top: 0x77, CreatedUnixNano: -9, FromSnapshot: 0x99,
		Names: []string{"run-1", "", strings.Repeat("n", MaxNameBytes)},
	}
	dropMany := DropMany{Forks: []ids.ForkID{3, 1 << 63, 2}}
	reset := Reset{Freeze: Freeze{}, Fork: 5, Top: 6, Memtable: 7}
	return []codec{
		{KindBatch, parts, AppendBatch(nil, parts), decoder(DecodeBatch)},
		{KindFork, fork, fork.AppendTo(nil), decoder(DecodeFork)},
		{KindSnapshot, snapshot, snapshot.AppendTo(nil), decoder(DecodeSnapshot)},
		{KindDrop, Drop{Fork: 3}, Drop{Fork: 3}.AppendTo(nil), decoder(DecodeDrop)},
		{KindDropSnapshot, DropSnapshot{ID: 3}, DropSnapshot{ID: 3}.AppendTo(nil), decoder(DecodeDropSnapshot)},
		{KindRename, rename, rename.AppendTo(nil), decoder(DecodeRename)},
		{KindRenameSnapshot, renameSnapshot, renameSnapshot.AppendTo(nil), decoder(DecodeRenameSnapshot)},
		{KindReset, reset, reset.AppendTo(nil), decoder(DecodeReset)},
		{KindFreeze, freeze, freeze.AppendTo(nil), decoder(DecodeFreeze)},
		{KindNodeImage, image, image.AppendTo(nil), decoder(DecodeNodeImage)},
		{KindForkMany, many, many.AppendTo(nil), decoder(DecodeForkMany)},
		{KindDropMany, dropMany, dropMany.AppendTo(nil), decoder(DecodeDropMany)},
	}
}

// rangeOps are range deletes of every shape.
func rangeOps() []byte {
	ops := AppendOp(nil, iterator.RangeDelete, []byte("from"), []byte("to"))
	ops = AppendOp(ops, iterator.RangeDelete, nil, []byte("to"))
	ops = AppendOp(ops, iterator.RangeDelete, []byte("from"), nil)
	return AppendOp(ops, iterator.RangeDelete, []byte("k"), []byte("k\x00"))
}

func TestBoundsOfARangeMayBeAsLongAsKeys(t *testing.T) {
	long := bytes.Repeat([]byte("k"), MaxKeyBytes)
	r := NewOpReader(AppendOp(nil, iterator.RangeDelete, long[1:], long))
	kind, lo, hi, ok := r.Next()
	require.True(t, ok)
	require.Equal(t, iterator.RangeDelete, kind)
	require.True(t, bytes.Equal(long[1:], lo) && bytes.Equal(long, hi))
}

func TestEveryPayloadComesBackAndNothingElseDecodes(t *testing.T) {
	require.Len(t, codecs(), len(kindNames)-1, "a kind of record is not tested")
	for _, c := range codecs() {
		t.Run(c.kind.String(), func(t *testing.T) {
			got, err := c.decode(c.encoded)
			require.NoError(t, err)
			require.Equal(t, c.value, got)
			for n := range c.encoded {
				_, err := c.decode(c.encoded[:n])
				require.ErrorIs(t, err, ErrBadPayload, "cut to %d of %d bytes", n, len(c.encoded))
			}
			_, err = c.decode(append(bytes.Clone(c.encoded), 0))
			require.ErrorIs(t, err, ErrBadPayload, "a byte too many")
		})
	}
}

func TestABatchPayloadIsAsLongAsAnnouncedAndCanBeAppendedInPieces(t *testing.T) {
	parts := codecs()[0].value.([]BatchPart)
	whole := AppendBatch([]byte("before"), parts)
	require.Len(t, whole, len("before")+BatchBytes(parts))
	pieces := AppendBatchHeader([]byte("before"), parts)
	for _, p := range parts {
		pieces = append(pieces, p.Ops...)
	}
	require.Equal(t, whole, pieces)
}

func TestHostileOperationsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		ops   []byte
		count uint32
	}{
		{"an unknown kind", []byte{4, 0}, 1},
		{"a range that is empty", []byte{3, 1, 1, 'a', 'a'}, 1},
		{"a range the wrong way round", []byte{3, 1, 1, 'b', 'a'}, 1},
		{"a range without the length of its end", []byte{3, 1, 'a'}, 1},
		{"a range whose end is longer than the rest", []byte{3, 1, 2, 'a', 'b'}, 1},
		{"a range whose end is above the limit", append([]byte{3, 0, 0x81, 0x80, 0x04}, make([]byte, MaxKeyBytes+1)...), 1},
		{"kind zero", []byte{0, 0, 0}, 1},
		{"a key longer than the rest", []byte{2, 5, 'a'}, 1},
		{"a value longer than the rest", []byte{1, 1, 9, 'a', 'v'}, 1},
		{"a key above the limit", []byte{2, 0xff, 0xff, 0x7f}, 1},
		{"a value above the limit", []byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 'a'}, 1},
		{"a length that overflows", []byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 1},
		{"a length spelled in more bytes than needed", []byte{2, 0x81, 0x00, 'a'}, 1},
		{"fewer operations than announced", AppendOp(nil, iterator.Set, []byte("k"), nil), 2},
		{"more operations than announced", AppendOp(nil, iterator.Set, []byte("k"), nil), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeBatch(AppendBatch(nil, []BatchPart{{Count: c.count, Ops: c.ops}}))
			require.ErrorIs(t, err, ErrBadPayload)
			_, err = DecodeNodeImage(NodeImage{Ops: c.ops, Count: c.count}.AppendTo(nil))
			require.ErrorIs(t, err, ErrBadPayload)
		})
	}
	t.Run("more parts than bytes", func(t *testing.T) {
		_, err := DecodeBatch([]byte{0xff, 0xff, 0xff, 0xff, 0, 0})
		require.ErrorIs(t, err, ErrBadPayload)
	})
	t.Run("more forks than bytes", func(t *testing.T) {
		payload := append(make([]byte, 72), 0xff, 0xff, 0xff, 0xff, 0)
		_, err := DecodeForkMany(payload)
		require.ErrorIs(t, err, ErrBadPayload)
		_, err = DecodeDropMany([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0})
		require.ErrorIs(t, err, ErrBadPayload)
	})
	t.Run("a name above the limit", func(t *testing.T) {
		b := append(make([]byte, 8), MaxNameBytes+1)
		_, err := DecodeRename(append(b, make([]byte, MaxNameBytes+1)...))
		require.ErrorIs(t, err, ErrBadPayload)
	})
}

func TestOpReaderStopsForGoodAtBadBytes(t *testing.T) {
	ops := AppendOp(nil, iterator.Set, []byte("k"), []byte("v"))
	ops = append(ops, 9, 9)
	r := NewOpReader(append(ops, AppendOp(nil, iterator.Set, []byte("l"), nil)...))
	kind, key, value, ok := r.Next()
	require.True(t, ok)
	require.Equal(t, iterator.Set, kind)
	require.Equal(t, "k", string(key))
	require.Equal(t, "v", string(value))
	require.NoError(t, r.Err())
	for range 2 {
		_, _, _, ok = r.Next()
		require.False(t, ok)
		require.ErrorIs(t, r.Err(), ErrBadPayload)
	}
	require.Equal(t, 1, cap(key), "appending to a key must not reach the value")
}
