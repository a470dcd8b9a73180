package golden

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

//go:embed all:testdata
var committed embed.FS

// storeDir is where Memory puts a store.
const storeDir = "store"

// The two stores of each version.
const (
	closedStore = "closed" // ended by Close
	tornStore   = "torn"   // ended by a kill under a write to log and manifest
)

// Files is the content of a store's files, by name in its directory.
type Files map[string][]byte

// Names gives the names of the files, sorted.
func (f Files) Names() []string { return slices.Sorted(maps.Keys(f)) }

// Memory gives a file system in memory that holds the files, all durable, in the
// directory storeDir.
func (f Files) Memory() (*crashfs.FS, error) {
	disk := crashfs.New()
	for name, content := range f {
		if err := disk.WriteFile(path.Join(storeDir, name), content); err != nil {
			return nil, err
		}
	}
	return disk, nil
}

// WriteTo writes the files into a directory of the operating system, which is
// made if it is missing.
func (f Files) WriteTo(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range f {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Diff tells in words where the files differ from want, "" if nowhere.
func (f Files) Diff(want Files) string {
	for name := range f {
		if _, ok := want[name]; !ok {
			return fmt.Sprintf("file %s is new", name)
		}
	}
	for name, content := range want {
		switch got, ok := f[name]; {
		case !ok:
			return fmt.Sprintf("file %s is gone", name)
		case string(got) != string(content):
			return fmt.Sprintf("file %s has other bytes", name)
		}
	}
	return ""
}

// readMemory reads the files of the store in a file system in memory.
func readMemory(disk *crashfs.FS) (Files, error) {
	files := Files{}
	for _, name := range disk.Names() {
		base, ok := strings.CutPrefix(name, storeDir+"/")
		if !ok {
			continue
		}
		content, err := disk.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[base] = content
	}
	return files, nil
}

// readDir reads the files of a directory.
func readDir(fsys fs.FS, dir string) (Files, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	files := Files{}
	for _, e := range entries {
		if files[e.Name()], err = fs.ReadFile(fsys, path.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Store is one golden store. It is not changed: Memory and WriteTo make copies.
type Store struct {
	Version string // the name of its directory, see Versions.String
	Name    string // closed or torn
	Files   Files
	State   model.State // what it holds; ids are negative
}

// unreleased are versions that were in no release, and that no program reads any
// more. Their stores stay to be refused.
var unreleased = []string{"current1-manifest1-log1-table1", "current1-manifest2-log1-table1", "current1-manifest2-log2-table1", "current1-manifest2-log3-table1"}

// Stores gives all committed ones of versions that are read, by version and name.
func Stores() ([]Store, error) { return stores(false) }

// OldStores gives those of versions that are not read any more.
func OldStores() ([]Store, error) { return stores(true) }

func stores(old bool) ([]Store, error) {
	var all []Store
	versions, err := fs.ReadDir(committed, "testdata")
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if !v.IsDir() || slices.Contains(unreleased, v.Name()) != old {
			continue
		}
		for _, name := range []string{closedStore, tornStore} {
			dir := path.Join("testdata", v.Name(), name)
			files, err := readDir(committed, dir)
			if err != nil {
				return nil, err
			}
			listing, err := fs.ReadFile(committed, dir+".txt")
			if err != nil {
				return nil, err
			}
			state, err := parseListing(string(listing))
			if err != nil {
				return nil, fmt.Errorf("%s.txt: %w", dir, err)
			}
			all = append(all, Store{v.Name(), name, files, state})
		}
	}
	return all, nil
}
