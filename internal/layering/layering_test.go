// Package layering holds the tests that the project's arrows point one way, and that
// each package says in which order it is read.
package layering

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tinedb/tine/"

// layers, from the top down. A package may import what stands in a lower layer,
// and its own folder; layers may be skipped.
var layers = [][]string{
	{"fuzz"},
	{"cmd"},
	{"engine"},
	{"compaction"},
	{"forktree"},
	{"manifest"},
	{"sstable", "wal"},
	{"internal"},
}

func layerOf(folder string) int {
	for i, names := range layers {
		for _, n := range names {
			if n == folder {
				return i
			}
		}
	}
	return -1
}

// Imports are parsed from the files, test files left out: tests may look upwards.
func TestImportsPointDown(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel == "bench" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && rel != "." {
				return fs.SkipDir // bench is a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		files++
		folder, _, _ := strings.Cut(rel, "/")
		from := layerOf(folder)
		require.GreaterOrEqual(t, from, 0, "%s: folder %q has no layer", rel, folder)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			inside, ours := strings.CutPrefix(name, module)
			if !ours {
				if folder == "internal" && !strings.HasSuffix(filepath.ToSlash(filepath.Dir(rel)), "test") {
					first, _, _ := strings.Cut(name, "/")
					require.NotContains(t, first, ".", "%s: internal packages use the standard library only, not %s", rel, name)
				}
				continue
			}
			target, _, _ := strings.Cut(inside, "/")
			if target == folder {
				continue
			}
			require.Greater(t, layerOf(target), from, "%s imports %s, which is not below it", rel, name)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 50, "the walk found too few files to mean anything")
}
