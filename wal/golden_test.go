package wal

import (
	"bytes"
	"flag"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

var update = flag.Bool("update", false, "renew the golden files; a change of the segments means a new format version")

const goldenDir = "testdata/v3"

// goldenLog writes every kind of record, marks, a rotation, a large record, and
// a second life that copies an unproven tail and ends in a torn write.
func goldenLog(t *testing.T) *crashfs.FS {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	lsn := ids.LSN(0)
	add := func(kind Kind, payload []byte) {
		require.NoError(t, l.Reserve(len(payload), false))
		lsn++
		l.Append(lsn, kind, payload)
	}
	for i, c := range codecs() {
		add(c.kind, c.encoded)
		if i%3 == 2 {
			require.NoError(t, l.Sync(lsn))
		}
	}
	require.NoError(t, l.Write(lsn))
	l.markIdle()
	add(KindNodeImage, NodeImage{Node: 1, Ops: make([]byte, 0), Count: 0}.AppendTo(nil))
	for range 3 {
		add(KindBatch, codecs()[0].encoded)
	}
	require.NoError(t, l.Sync(lsn))
	add(KindRename, Rename{Fork: 9, Name: "only written"}.AppendTo(nil))
	require.NoError(t, l.Write(lsn))

	rec, err := Replay(fs, testDir, 1, func(Record) error { return nil })
	require.NoError(t, err)
	require.Equal(t, lsn, rec.Last)
	lsn += 10
	l, err = Start(fs, testDir, rec, lsn+1, quiet(&files, 4096))
	require.NoError(t, err)
	add(KindDrop, Drop{Fork: 4}.AppendTo(nil))
	require.NoError(t, l.Sync(lsn))
	add(KindFork, codecs()[1].encoded)
	require.NoError(t, l.Write(lsn))
	name := path.Join(testDir, ids.SegmentName(l.cur.number))
	data, err := fs.ReadFile(name)
	require.NoError(t, err)
	data[l.cur.pos-20] ^= 0x40 // torn
	require.NoError(t, fs.WriteFile(name, data))
	return fs
}

func TestGoldenSegmentsAndDump(t *testing.T) {
	fs := goldenLog(t)
	names, err := fs.List(testDir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 4)
	if *update {
		require.NoError(t, os.RemoveAll(goldenDir))
		require.NoError(t, os.MkdirAll(goldenDir, 0o755))
	}
	golden := newDir(t)
	for _, name := range names {
		data, err := fs.ReadFile(path.Join(testDir, name))
		require.NoError(t, err)
		file := filepath.Join(goldenDir, name)
		if *update {
			require.NoError(t, os.WriteFile(file, data, 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, data), "%s differs: this is another format", file)
		require.NoError(t, golden.WriteFile(path.Join(testDir, name), want))
	}
	var out bytes.Buffer
	require.NoError(t, Dump(&out, golden, testDir))
	file := filepath.Join(goldenDir, "dump.txt")
	if *update {
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())

	rec, err := Replay(golden, testDir, 1, func(Record) error { return nil })
	require.NoError(t, err)
	var files numbers
	files.last.Store(1000)
	l, err := Start(golden, testDir, rec, rec.Last+1, quiet(&files, 4096))
	require.NoError(t, err, "old segments can be gone on from")
	require.NoError(t, l.Close())
}

func TestDumpShowsDamageAndWhatStandsBeforeIt(t *testing.T) {
	fs := goldenLog(t)
	name := path.Join(testDir, ids.SegmentName(4))
	data, err := fs.ReadFile(name)
	require.NoError(t, err)
	data[1072+framePayload] ^= 1 // the mark before it claims nothing behind 560, the one behind it does
	require.NoError(t, fs.WriteFile(name, data))
	var out bytes.Buffer
	err = Dump(&out, fs, testDir)
	require.ErrorIs(t, err, errs.ErrCorrupt)
	require.Contains(t, out.String(), "000004.wal 1024 lsn 17 mark")
	require.NotContains(t, out.String(), "000004.wal 1072")
	require.Contains(t, out.String(), "damage: corrupt data in 000004.wal at offset 1072")
}
