package tree

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

func file(content string) []byte {
	return NewFile(0o644, 0, []byte(content)).Append(nil, []byte(content))
}

func linkTo(target string) []byte {
	return Entry{Kind: Symlink, Mode: 0o777, Size: uint64(len(target)), Hash: xxhash.Sum64String(target)}.Append(nil, []byte(target))
}

func TestKeysThatAreNoSafePathsAreRefusedAndNothingIsWritten(t *testing.T) {
	large := Entry{Kind: File, Mode: 0o644, Size: InlineBytes + 1, Chunks: 2}.Append(nil, nil)
	for _, c := range []struct {
		name string
		keys map[string][]byte
		text string
	}{
		{"a path that goes up", map[string][]byte{"../evil": file("x")}, `"../evil"`},
		{"a path that goes up in its middle", map[string][]byte{"a/../../evil": file("x")}, `part ".."`},
		{"an absolute path", map[string][]byte{"/etc/evil": file("x")}, "absolute"},
		{"a path with a dot", map[string][]byte{"./x": file("x")}, `part "."`},
		{"an empty part", map[string][]byte{"a//b": file("x")}, "empty part"},
		{"a slash at the end", map[string][]byte{"a/": file("x")}, "empty part"},
		{"a zero byte", map[string][]byte{"a\x00b": file("x")}, "zero byte"},
		{"a value put by hand", map[string][]byte{"a": []byte("hello")}, "not a stored file"},
		{"a file below a file", map[string][]byte{"a": file("x"), "a.b": file("x"), "a/b/c": file("x")}, `"a/b/c"`},
		{"a file below a link that leads outside", map[string][]byte{"a": linkTo("/tmp"), "a/b": file("x")}, `"a/b"`},
		{"a chunk without its file", map[string][]byte{"a\x00\x00\x00\x00\x00": []byte("x")}, "a file that is not there"},
		{"a file without its last chunk", map[string][]byte{"a": large, "a\x00\x00\x00\x00\x00": []byte("x")}, "1 of 2 pieces"},
		{"a file without its first chunk", map[string][]byte{"a": large, "a\x00\x00\x00\x00\x01": []byte("x")}, "piece 1"},
		{"a file with a chunk too many", map[string][]byte{"a": file("x"), "a\x00\x00\x00\x00\x00": []byte("x")}, "a file that is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, fork := openStore(t, t.TempDir())
			require.NoError(t, fork.Set([]byte("good"), file("good")))
			for key, value := range c.keys {
				require.NoError(t, fork.Set([]byte(key), value))
			}
			parent := t.TempDir()
			_, err := Export(context.Background(), From(fork), filepath.Join(parent, "out"), ExportOptions{})
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, c.text)
			entries, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Empty(t, entries, "not even the directory is made")
		})
	}
}

func TestDamagedContentIsNotLeftBehind(t *testing.T) {
	_, fork := openStore(t, t.TempDir())
	value := file("hello")
	value[len(value)-1] ^= 1
	require.NoError(t, fork.Set([]byte("a"), value))
	out := filepath.Join(t.TempDir(), "out")
	_, err := Export(context.Background(), From(fork), out, ExportOptions{})
	require.ErrorContains(t, err, "import it again")
	require.NoFileExists(t, filepath.Join(out, "a"))
}

func TestDirectoryThatHoldsSomethingNeedsForce(t *testing.T) {
	_, fork := openStore(t, t.TempDir())
	require.NoError(t, fork.Set([]byte("a"), file("new")))
	out := t.TempDir()
	write(t, filepath.Join(out, "a"), []byte("old"), 0o644)
	write(t, filepath.Join(out, "b"), []byte("other"), 0o644)
	_, err := Export(context.Background(), From(fork), out, ExportOptions{})
	require.ErrorIs(t, err, ErrNotEmpty)
	content, err := os.ReadFile(filepath.Join(out, "a"))
	require.NoError(t, err)
	require.Equal(t, "old", string(content))

	_, err = Export(context.Background(), From(fork), out, ExportOptions{Force: true})
	require.NoError(t, err)
	content, err = os.ReadFile(filepath.Join(out, "a"))
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
	require.FileExists(t, filepath.Join(out, "b"))
}

// A link that stands in the directory already must be neither written through nor
// followed, whether it leads inside or outside.
func TestForceDoesNotFollowLinksThatAreThere(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "victim"), []byte("untouched"), 0o644)
	for _, c := range []struct {
		name, link, target, key string
		refused                 bool
	}{
		{"a link to a file outside is replaced", "a", filepath.Join(outside, "victim"), "a", false},
		{"a link to a file inside is replaced", "a", "victim", "a", false},
		{"a link to a directory outside is refused", "d", outside, "d/victim", true},
		{"a link to a directory inside is refused", "d", "real", "d/victim", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, fork := openStore(t, t.TempDir())
			require.NoError(t, fork.Set([]byte(c.key), file("new")))
			out := t.TempDir()
			write(t, filepath.Join(out, "victim"), []byte("untouched"), 0o644)
			write(t, filepath.Join(out, "real/victim"), []byte("untouched"), 0o644)
			require.NoError(t, os.Symlink(c.target, filepath.Join(out, c.link)))
			_, err := Export(context.Background(), From(fork), out, ExportOptions{Force: true})
			if c.refused {
				require.ErrorIs(t, err, ErrRefused)
			} else {
				require.NoError(t, err)
			}
			for _, name := range []string{filepath.Join(outside, "victim"), filepath.Join(out, "victim"), filepath.Join(out, "real/victim")} {
				content, err := os.ReadFile(name)
				require.NoError(t, err)
				require.Equal(t, "untouched", string(content), name)
			}
		})
	}
}

func TestContainsSeesThroughLinksAndMissingDirectories(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "in"), 0o755))
	other := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, other))
	require.True(t, Contains(dir, dir))
	require.True(t, Contains(dir, filepath.Join(dir, "in")))
	require.True(t, Contains(dir, filepath.Join(dir, "not yet")))
	require.True(t, Contains(dir, filepath.Join(other, "in")))
	require.True(t, Contains(dir, filepath.Join(other, "not/yet")))
	require.True(t, Contains(other, filepath.Join(dir, "in")))
	require.False(t, Contains(filepath.Join(dir, "in"), dir))
	require.False(t, Contains(filepath.Join(dir, "in"), filepath.Join(dir, "inner")))
}
