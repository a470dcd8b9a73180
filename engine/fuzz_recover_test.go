package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/wal"
)

// recordScript makes records of bytes: each field is one byte, so that ids that
// are there are met often.
type recordScript struct{ rest []byte }

func (s *recordScript) byte() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// id is small, or one that was never reserved.
func (s *recordScript) id() uint64 {
	if b := s.byte(); b < 250 {
		return uint64(b)
	}
	return 1 << 40
}

func (s *recordScript) freeze() wal.Freeze {
	return wal.Freeze{Fork: ids.ForkID(s.id()), Node: ids.NodeID(s.id()), Older: ids.NodeID(s.id()), NewMemtable: ids.NodeID(s.id())}
}

func (s *recordScript) name() string {
	names := []string{"one", "two", "three", MainFork, "child", "kept", "", "not a name", "../up"}
	return names[int(s.byte())%len(names)]
}

func (s *recordScript) next() (wal.Kind, []byte) {
	kind := wal.Kind(s.byte()%12 + 1)
	switch kind {
	case wal.KindBatch:
		p := wal.BatchPart{Fork: ids.ForkID(s.id()), Memtable: ids.NodeID(s.id()), Count: 2}
		p.Ops = wal.AppendOp(nil, iterator.Set, []byte{s.byte()}, []byte("hostile"))
		p.Ops = wal.AppendOp(p.Ops, iterator.Tombstone, []byte("gone")[:s.byte()%5], nil)
		if lo, hi := s.byte(), s.byte(); lo < hi {
			p.Ops = wal.AppendOp(p.Ops, iterator.RangeDelete, []byte{lo}, []byte{hi})
			p.Count++
		} else if lo == 255 {
			p.Ops = wal.AppendOp(p.Ops, iterator.RangeDelete, nil, nil)
			p.Count++
		}
		return kind, wal.AppendBatch(nil, []wal.BatchPart{p})
	case wal.KindFork:
		return kind, wal.Fork{
			Freeze: s.freeze(), Parent: ids.ForkID(s.id()), Child: ids.ForkID(s.id()), Name: s.name(),
			Top: ids.NodeID(s.id()), Memtable: ids.NodeID(s.id()), FromSnapshot: ids.SnapshotID(s.id()),
		}.AppendTo(nil)
	case wal.KindSnapshot:
		return kind, wal.Snapshot{
			Freeze: s.freeze(), ID: ids.SnapshotID(s.id()), Name: s.name(), Node: ids.NodeID(s.id()), Fork: ids.ForkID(s.id()),
		}.AppendTo(nil)
	case wal.KindDrop:
		return kind, wal.Drop{Fork: ids.ForkID(s.id())}.AppendTo(nil)
	case wal.KindDropSnapshot:
		return kind, wal.DropSnapshot{ID: ids.SnapshotID(s.id())}.AppendTo(nil)
	case wal.KindRename:
		return kind, wal.Rename{Fork: ids.ForkID(s.id()), Name: s.name()}.AppendTo(nil)
	case wal.KindRenameSnapshot:
		return kind, wal.RenameSnapshot{ID: ids.SnapshotID(s.id()), Name: s.name()}.AppendTo(nil)
	case wal.KindReset:
		return kind, wal.Reset{Freeze: s.freeze(), Fork: ids.ForkID(s.id()), Top: ids.NodeID(s.id()), Memtable: ids.NodeID(s.id())}.AppendTo(nil)
	case wal.KindFreeze:
		return kind, s.freeze().AppendTo(nil)
	case wal.KindForkMany:
		many := wal.ForkMany{
			Freeze: s.freeze(), Parent: ids.ForkID(s.id()), First: ids.ForkID(s.id()), Top: ids.NodeID(s.id()),
			FromSnapshot: ids.SnapshotID(s.id()), Names: make([]string, s.byte()%4),
		}
		for i := range many.Names {
			many.Names[i] = s.name()
		}
		return kind, many.AppendTo(nil)
	case wal.KindDropMany:
		many := wal.DropMany{Forks: make([]ids.ForkID, s.byte()%4)}
		for i := range many.Forks {
			many.Forks[i] = ids.ForkID(s.id())
		}
		return kind, many.AppendTo(nil)
	default:
		n := min(int(s.byte()), len(s.rest))
		payload := s.rest[:n]
		s.rest = s.rest[n:]
		return kind, payload
	}
}

// hostileBase is a closed store with two forks, a snapshot, a table and rows that
// only the log has.
func hostileBase(t testing.TB) *crashfs.FS {
	fs := crashfs.New()
	s, err := Open("db", &Options{FS: fs, Manual: true, SegmentBytes: 4 << 10})
	require.NoError(t, err)
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("a"), []byte("1")))
	require.NoError(t, s.Flush())
	require.NoError(t, main.Set([]byte("b"), []byte("2")))
	_, err = main.Snapshot("kept")
	require.NoError(t, err)
	child, err := main.Fork("child")
	require.NoError(t, err)
	require.NoError(t, child.Set([]byte("c"), []byte("3")))
	require.NoError(t, s.Close())
	return fs
}

// FuzzRecover opens a store to whose log records were appended that are whole and
// say anything: they are refused as damage, or there is a store that can be
// worked with.
func FuzzRecover(f *testing.F) {
	fork := []byte{1, 0, 0, 0, 0, 1, 30, 0, 31, 0, 0}
	f.Add(fork)
	f.Add(append(fork, 0, 30, 31, 'k', 2, 8, 30, 31, 0, 32, 3, 1))
	f.Add([]byte{5, 1, 0, 5, 1, 6, 5, 1, 7})
	f.Add([]byte{2, 0, 0, 0, 0, 40, 0, 3, 1})
	f.Add([]byte{7, 0, 0, 0, 0, 1, 0, 41, 4, 1})
	f.Add([]byte{8, 1, 2, 0, 251, 8, 1, 60, 2, 61, 0, 1, 2, 3, 4})
	f.Add([]byte{9, 3, 1, 2, 3})
	f.Add([]byte{10, 0, 0, 0, 0, 1, 30, 0, 0, 3, 0, 1, 2, 0, 31, 'k', 2, 8, 11, 2, 30, 32})
	f.Add([]byte{10, 0, 0, 0, 0, 1, 30, 0, 0, 2, 0, 0})
	f.Add([]byte{11, 2, 1, 1})
	base := hostileBase(f)
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 200 {
			return
		}
		fs := base.PowerLossAll()
		appendRecords(t, fs, script)
		s, err := Open("db", &Options{FS: fs, Manual: true, SegmentBytes: 4 << 10})
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			require.Zero(t, fs.OpenFiles())
			return
		}
		require.NoError(t, s.Verify())
		for _, info := range s.Forks() {
			require.NoError(t, CheckName(info.Name))
			fork, err := s.Fork(info.Name)
			require.NoError(t, err)
			rows, failed := fork.Scan(Range{})
			for key := range rows {
				require.NotEmpty(t, key)
			}
			require.NoError(t, failed())
			require.NoError(t, fork.Set([]byte("after"), []byte(info.Name), NoSync))
			_, err = fork.Fork("of-"+shortName(info.Name), NoSync)
			require.NoError(t, err)
		}
		require.NoError(t, s.Flush())
		require.NoError(t, s.Compact())
		require.NoError(t, s.Verify())
		require.NoError(t, s.Close())
		report, err := Check("db", CheckOptions{FS: fs})
		require.NoError(t, err)
		for _, p := range report.Problems {
			// A fork made after its own children is strange, and harms nobody.
			require.Contains(t, p.Text, "before its parent")
		}
		require.Empty(t, report.Missing)
		require.Empty(t, report.Leaked)
	})
}

// shortName makes a name of a fork part of another one.
func shortName(name string) string { return name[:min(len(name), MaxNameBytes-3)] }

// appendRecords appends a script's records to the log of a closed store.
func appendRecords(t *testing.T, fs *crashfs.FS, script []byte) {
	state, _, err := manifest.Load(fs, "db")
	require.NoError(t, err)
	rec, err := wal.Replay(fs, "db", state.Trimmed, func(wal.Record) error { return nil })
	require.NoError(t, err)
	number := ids.FileNum(1 << 30)
	log, err := wal.Start(fs, "db", rec, rec.Last+1, wal.Options{
		SegmentBytes: 4 << 10, MarkDelay: -1, NextFile: func() ids.FileNum { number++; return number },
	})
	require.NoError(t, err)
	s := recordScript{script}
	lsn := rec.Last
	for len(s.rest) > 0 {
		kind, payload := s.next()
		require.NoError(t, log.Reserve(len(payload), false))
		lsn++
		log.Append(lsn, kind, payload)
	}
	require.NoError(t, log.Sync(lsn))
	require.NoError(t, log.Close())
}
