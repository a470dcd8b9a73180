package sstable

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

var update = flag.Bool("update", false, "rewrite the golden files; a change of them is a new format version")

// goldenTables are several tables for one file, one for each thing that the
// format can express.
func goldenTables() []struct {
	blockBytes int
	rows       []iterator.Row
} {
	set := func(key, value string) iterator.Row {
		return iterator.Row{Key: []byte(key), Kind: iterator.Set, Value: []byte(value)}
	}
	gone := func(key string) iterator.Row { return iterator.Row{Key: []byte(key), Kind: iterator.Tombstone} }
	var many []iterator.Row
	for i := range 60 {
		many = append(many, set(fmt.Sprintf("account/%04d/balance", i*3), fmt.Sprintf("%d coins", i*i)))
		if i%9 == 4 {
			many = append(many, gone(fmt.Sprintf("account/%04d/closed", i*3)))
		}
	}
	return []struct {
		blockBytes int
		rows       []iterator.Row
	}{
		{0, []iterator.Row{set("fork", "tine"), gone("forks")}},
		{1, []iterator.Row{set("", "the empty key"), gone("\x00"), set("\x00\x00", ""), set("a", "b")}},
		{400, many},
		{400, []iterator.Row{set("large", string(bytes.Repeat([]byte("compressible "), 100))), set("small", "s")}},
	}
}

// buildGolden makes the file, with a gap before its first table, and the Metas.
func buildGolden(t *testing.T) ([]byte, []Meta) {
	buf := bytes.NewBufferString("not a part of a table")
	var metas []Meta
	for i, table := range goldenTables() {
		w := NewWriter(buf, ids.TableID(i+100), 31, uint64(buf.Len()), WriterOptions{BlockBytes: table.blockBytes})
		for _, row := range table.rows {
			require.NoError(t, w.Add(row.Key, row.Kind, row.Value))
		}
		m, err := w.Finish()
		require.NoError(t, err)
		metas = append(metas, m)
	}
	return buf.Bytes(), metas
}

func golden(t *testing.T, name string, made []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, made, 0o644))
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func TestWriterStillMakesTheGoldenFile(t *testing.T) {
	content, metas := buildGolden(t)
	require.Equal(t, golden(t, "v1.sst", content), content)
	text, err := json.MarshalIndent(metas, "", "\t")
	require.NoError(t, err)
	require.Equal(t, string(golden(t, "v1.meta.json", append(text, '\n'))), string(text)+"\n")
}

func TestReaderStillReadsTheGoldenFile(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "v1.sst"))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join("testdata", "v1.meta.json"))
	require.NoError(t, err)
	var metas []Meta
	require.NoError(t, json.Unmarshal(text, &metas))
	fsys := newMemFS()
	fsys.put(31, content)
	tables := NewTables(fsys, "db", NewCache(1<<20), 1)

	var dumped bytes.Buffer
	for i, table := range goldenTables() {
		r, err := tables.Reader(&metas[i])
		require.NoError(t, err)
		require.NoError(t, r.Verify())
		require.NoError(t, readAll(r, table.rows))
		require.NoError(t, Dump(&dumped, r, true))
	}
	require.Equal(t, string(golden(t, "v1.txt", dumped.Bytes())), dumped.String())
}

// goldenVectors are deletion vectors one behind the other, one for each form.
func goldenVectors() []*Vector {
	stretch, mixed := roaring.New(), roaring.New()
	stretch.AddRange(100, 5000)
	for i := range uint32(6000) {
		mixed.Add(3 * i) // more than a list holds
	}
	mixed.AddRange(70_000, 90_000)
	mixed.Add(150_000)
	mixed.Add(200_000)
	return []*Vector{
		NewVector(1000, roaring.BitmapOf(3, 500)),
		NewVector(10_000, stretch),
		WholeVector(77),
		NewVector(300_000, mixed),
		NewVector(MaxRows, roaring.BitmapOf(0, MaxRows-1)),
	}
}

func TestGoldenVectors(t *testing.T) {
	var made []byte
	for i, v := range goldenVectors() {
		made = v.AppendTo(made, ids.NodeID(i+7), ids.TableID(i+100))
	}
	rest := golden(t, "v1.vectors", made)
	require.Equal(t, made, rest)
	for i, want := range goldenVectors() {
		node, table, v, behind, err := DecodeVector(rest)
		require.NoError(t, err)
		require.Equal(t, ids.NodeID(i+7), node)
		require.Equal(t, ids.TableID(i+100), table)
		require.True(t, want.Equal(v))
		rest = behind
	}
	require.Empty(t, rest)
}
