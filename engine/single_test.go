package engine

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// What is between two uses must not keep a store or a fork alive, and must not bring
// anything of one write into the next.
func TestABatchForOneWriteKnowsNothingAfterwards(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	defer s.Close()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	x, err := s.ForkWhileNamed(MainFork)
	require.NoError(t, err)
	y, err := s.ForkWhileNamed(MainFork)
	require.NoError(t, err)
	for name, fill := range map[string]func(b *Batch) error{
		"a write":               nil,
		"a write that fails":    func(b *Batch) error { b.Set(f, nil, nil); b.Set(f, make([]byte, MaxKeyBytes+1), nil); return ErrLimit },
		"a write that is large": func(b *Batch) error { b.Set(f, []byte("k"), make([]byte, 2*keptOpsBytes)); return nil },
		"several bound handles": func(b *Batch) error {
			b.Delete(x, []byte("a"))
			b.Delete(y, []byte("b"))
			b.bytes++
			return nil
		},
		"a delete of all ranges": func(b *Batch) error { b.DeleteRange(f, nil, nil); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := s.single()
			var want error
			if fill == nil {
				b.Set(f, []byte("key"), []byte("value"))
			} else {
				want = fill(b)
			}
			require.ErrorIs(t, b.commitSingle([]WriteOption{NoSync}), want)
			require.Nil(t, b.s)
			require.NoError(t, b.err)
			require.Zero(t, b.Len()+b.Bytes()+len(b.parts))
			for _, p := range b.parts[:cap(b.parts)] {
				require.Nil(t, p.fork)
				require.Nil(t, p.target)
				require.Empty(t, p.also)
				require.Zero(t, len(p.ops)+int(p.count+p.ranges))
			}
			for _, r := range b.records {
				require.True(t, r.Ops == nil || cap(r.Ops) > keptOpsBytes, "the bytes stay with a batch that is not kept")
			}
		})
	}
}

// The row that a write brings is copied before the next write's may take its place.
func TestOneWriteDoesNotChangeAnother(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	defer s.Close()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	key := func(i byte) []byte { return []byte{'k', i} }
	value := func(i byte) []byte { return bytes.Repeat([]byte{i}, 1+int(i)%7) }
	for i := range byte(200) {
		require.NoError(t, f.Set(key(i), value(i), NoSync))
	}
	require.NoError(t, f.DeleteRange(key(50), key(60), NoSync))
	require.NoError(t, f.Delete(key(70), NoSync))
	require.NoError(t, f.Set(key(71), value(1), NoSync))
	for i := range byte(200) {
		got, err := f.Get(key(i))
		switch {
		case i >= 50 && i < 60 || i == 70:
			require.ErrorIs(t, err, ErrNotFound)
		case i == 71:
			require.Equal(t, value(1), got)
		default:
			require.NoError(t, err)
			require.Equal(t, value(i), got)
		}
	}
}

// A write allocates nothing but what the memtable and the log keep of it.
func TestAWriteAllocatesLittle(t *testing.T) {
	if invariant.Expensive {
		t.Skip("assertions allocate")
	}
	s, err := Open(t.TempDir(), &Options{Manual: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	key, value := make([]byte, 16), make([]byte, 100)
	n := 0
	write := func() {
		n++
		key[0], key[1], key[2] = byte(n), byte(n>>8), byte(n>>16)
		require.NoError(t, f.Set(key, value, NoSync))
	}
	for range 1000 { // the log's buffers
		write()
	}
	// None are usual; the race detector makes pools forget.
	require.LessOrEqual(t, testing.AllocsPerRun(5000, write), 2.0)
}
