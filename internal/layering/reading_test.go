package layering

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	inOrder = regexp.MustCompile(`(?i)\b(reading|this) order\b`)
	// A family of files may be named once: lock_*.go.
	goFiles   = regexp.MustCompile(`[\w*]+\.go\b`)
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
)

// Whoever opens a package is told by its doc.go in which order to read it: no file may
// be left out there, and none named that is gone. The benches count, though they are a
// module of their own. A package of one idea has no doc.go.
func TestEachFileHasItsPlaceInTheReadingOrder(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	lists := 0
	err := fs.WalkDir(root, ".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && dir != "." {
			return fs.SkipDir
		}
		files, err := sources(root, dir)
		if err != nil || files == nil {
			return err
		}
		lists++
		doc, err := fs.ReadFile(root, path.Join(dir, "doc.go"))
		if err != nil {
			return err
		}
		at := inOrder.FindIndex(doc)
		require.NotNil(t, at, "%s: doc.go does not say in which order to read the files", dir)
		names := goFiles.FindAllString(string(doc[at[1]:]), -1)
		for _, f := range files {
			require.True(t, anyMatch(names, []string{f}), "%s: doc.go does not name %s", dir, f)
		}
		for _, name := range names {
			require.True(t, anyMatch([]string{name}, files), "%s: doc.go names %s, which is not there", dir, name)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, lists, 30, "the walk found too few lists to mean anything")
}

// sources are the files of a package that people read, doc.go itself left out: none
// where there is no doc.go, no test, nothing generated.
func sources(root fs.FS, dir string) (names []string, err error) {
	if _, err := fs.Stat(root, path.Join(dir, "doc.go")); err != nil {
		return nil, nil
	}
	all, err := fs.Glob(root, path.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if path.Base(f) == "doc.go" || strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(root, f)
		if err != nil {
			return nil, err
		}
		if !generated.Match(src) {
			names = append(names, path.Base(f))
		}
	}
	return names, nil
}

func anyMatch(patterns, names []string) bool {
	for _, p := range patterns {
		for _, n := range names {
			if ok, _ := path.Match(p, n); ok {
				return true
			}
		}
	}
	return false
}
