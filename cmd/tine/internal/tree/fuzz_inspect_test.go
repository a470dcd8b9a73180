package tree

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzInspect: of rows with any keys, what is not refused are paths that stay
// below a directory, none below a file, and files with all their chunks. Two bits
// of kinds say for each of the keys whether it is a file, a link, a directory or a
// file in two chunks; with bare, its value is the key itself.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("a"), []byte("a/b"), []byte("../c"), uint8(0), false)
	f.Add([]byte("a"), []byte("a\x00\x00\x00\x00\x00"), []byte("a\x00\x00\x00\x00\x01"), uint8(3), false)
	f.Add([]byte("dir"), []byte("dir/file"), []byte("dir/link"), uint8(0b010010), false)
	f.Add([]byte("/etc/passwd"), []byte("a//b"), []byte("a/./b"), uint8(0), false)
	f.Add([]byte(""), []byte("\x00"), []byte("a\\..\\b"), uint8(0), true)
	for _, bad := range []string{"..", "../c", "b/../../c", "/c", "b//c", "c/", ".", "b\x00c"} {
		f.Add([]byte("a"), []byte(bad), []byte("d"), uint8(0), false)
	}
	f.Fuzz(func(t *testing.T, a, b, c []byte, kinds uint8, bare bool) {
		type row struct{ key, value []byte }
		var rows []row
		for i, key := range [][]byte{a, b, c} {
			e, content := hiFile()
			switch kinds >> (2 * i) & 3 {
			case 1:
				e.Kind = Symlink
			case 2:
				e, content = Entry{Kind: Dir, Mode: 0o755}, nil
			case 3:
				e, content = Entry{Kind: File, Size: InlineBytes + 1, Chunks: 2}, nil
			}
			value := e.Append(nil, content)
			if bare {
				value = key
			}
			if !slices.ContainsFunc(rows, func(r row) bool { return bytes.Equal(r.key, key) }) {
				rows = append(rows, row{key, value})
			}
		}
		slices.SortFunc(rows, func(a, b row) int { return bytes.Compare(a.key, b.key) })
		in := inspector{leaves: map[string]bool{}}
		for _, r := range rows {
			in.key(r.key, r.value)
		}
		in.endFile()
		if len(in.refused) > 0 {
			return
		}
		items := 0
		for i, r := range rows {
			path, n, isChunk, ok := splitChunk(r.key)
			require.True(t, ok)
			if isChunk {
				require.Equal(t, string(appendChunkKey(nil, path, n)), string(r.key))
				require.Positive(t, i)
				continue
			}
			items++
			require.True(t, filepath.IsLocal(string(path)), "%q", path)
			require.Equal(t, filepath.ToSlash(filepath.Clean(string(path))), string(path), "one spelling")
			require.NotContains(t, string(path), "\x00")
			e, _, err := Parse(r.value)
			require.NoError(t, err)
			for _, other := range rows {
				if e.Kind != Dir {
					require.False(t, bytes.HasPrefix(other.key, append(bytes.Clone(path), '/')), "%q lies below a file", other.key)
				}
			}
			for n := range e.Chunks {
				require.Greater(t, len(rows), i+1+int(n))
				require.Equal(t, appendChunkKey(nil, path, n), rows[i+1+int(n)].key)
			}
		}
		require.Equal(t, items, in.items)
	})
}
