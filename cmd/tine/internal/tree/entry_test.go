package tree

import (
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew; a changed one is a new version of the format")

func hiFile() (Entry, []byte) {
	content := []byte("hi\n")
	return NewFile(0o644, 1_000_000_000, content), content
}

// The bytes of version 2 never change: stores hold them.
func TestEnvelopeIsTheGoldenOne(t *testing.T) {
	e, content := hiFile()
	large := Entry{Kind: File, Mode: 0o755, ModTime: -1, Size: InlineBytes + 1, Hash: 0x0123456789abcdef, Chunks: 2}
	got := strings.Join([]string{
		hex.EncodeToString(e.Append(nil, content)),
		hex.EncodeToString(large.Append(nil, nil)),
		hex.EncodeToString(Entry{Kind: Dir, Mode: 0o700}.Append(nil, nil)),
	}, "\n") + "\n"
	const golden = "testdata/entry.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	for line := range strings.Lines(string(want)) {
		value, err := hex.DecodeString(strings.TrimSpace(line))
		require.NoError(t, err)
		_, _, err = Parse(value)
		require.NoError(t, err)
	}
}

// The page's example is the real bytes.
func TestPageShowsTheRealBytes(t *testing.T) {
	page, err := os.ReadFile("../../TREE.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(page), "### Example")
	require.True(t, found)
	var shown strings.Builder
	for line := range strings.Lines(strings.Split(example, "```")[1]) {
		bytes, _, _ := strings.Cut(line, "   ")
		shown.WriteString(strings.ReplaceAll(strings.TrimSpace(bytes), " ", ""))
	}
	e, content := hiFile()
	require.Equal(t, hex.EncodeToString(e.Append(nil, content)), shown.String())
}

func TestEnvelopeComesBackAsItWas(t *testing.T) {
	e, content := hiFile()
	got, gotContent, err := Parse(e.Append([]byte("before")[:0], content))
	require.NoError(t, err)
	require.Equal(t, e, got)
	require.Equal(t, content, gotContent)
	require.NoError(t, got.Verify(gotContent))
	require.Error(t, got.Verify([]byte("ho\n")), "another content of the same length")
}

func TestEveryFlippedBitOfAHeaderIsNoticed(t *testing.T) {
	e, content := hiFile()
	value := e.Append(nil, content)
	for i := range headerLen * 8 {
		value[i/8] ^= 1 << (i % 8)
		_, _, err := Parse(value)
		require.ErrorIs(t, err, ErrNotEntry, "bit %d", i)
		value[i/8] ^= 1 << (i % 8)
	}
	for n := range value {
		_, _, err := Parse(value[:n])
		require.ErrorIs(t, err, ErrNotEntry, "%d bytes", n)
	}
}

func TestHeadersThatLieAreRefused(t *testing.T) {
	for name, value := range map[string][]byte{
		"an unknown kind":                  Entry{Kind: 9}.Append(nil, nil),
		"a mode with unknown bits":         Entry{Kind: File, Mode: 0o10000}.Append(nil, nil),
		"a size above the content":         Entry{Kind: File, Size: 4}.Append(nil, []byte("abc")),
		"a size below the content":         Entry{Kind: File, Size: 2}.Append(nil, []byte("abc")),
		"chunks and content":               Entry{Kind: File, Size: InlineBytes + 1, Chunks: 2}.Append(nil, []byte("abc")),
		"fewer chunks than the size needs": Entry{Kind: File, Size: InlineBytes + 1, Chunks: 1}.Append(nil, nil),
		"more chunks than are allowed":     Entry{Kind: File, Size: (maxChunks + 1) * InlineBytes, Chunks: maxChunks + 1}.Append(nil, nil),
		"a link in chunks":                 Entry{Kind: Symlink, Size: InlineBytes + 1, Chunks: 2}.Append(nil, nil),
		"a directory with content":         Entry{Kind: Dir, Size: 1}.Append(nil, []byte("a")),
		"something put by hand":            []byte("hello"),
		"nothing":                          nil,
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Parse(value)
			require.ErrorIs(t, err, ErrNotEntry)
		})
	}
}

func FuzzParse(f *testing.F) {
	e, content := hiFile()
	f.Add(e.Append(nil, content))
	f.Add(Entry{Kind: File, Size: InlineBytes + 1, Chunks: 2}.Append(nil, nil))
	f.Add([]byte("TREE"))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, content, err := Parse(value)
		if err != nil {
			require.ErrorIs(t, err, ErrNotEntry)
			return
		}
		require.Equal(t, value, e.Append(nil, content), "an accepted envelope has one spelling")
	})
}

func TestPrefixRangeEndsBehindTheLastKeyWithThePrefix(t *testing.T) {
	for _, c := range []struct{ name, prefix, upper string }{
		{"a plain one", "src/", "src0"},
		{"one that ends in the highest byte", "a\xff", "b"},
		{"one of only highest bytes has no end", "\xff\xff", ""},
		{"none has no bounds", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := PrefixRange([]byte(c.prefix))
			require.Equal(t, c.prefix, string(r.Lower))
			require.Equal(t, c.upper, string(r.Upper))
			require.Equal(t, c.upper == "", r.Upper == nil)
		})
	}
}
