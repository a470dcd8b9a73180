package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

var errTableMissing = errors.New("the file is missing")

// measureTables tells the tree how long its table files are. lost are the tables
// whose bytes cannot all be there. As with any damage to a table, that is for
// those who read it: the store opens, and other forks read on.
//
// Where files are missing while there are others that the manifest does not name,
// the manifest may be an old one, from before a merge that replaced those by these,
// and to write on would be to lose these as well. So that is an error, unless the
// store is opened to be read.
func (s *Store) measureTables(tree *forktree.Tree, state *manifest.State) (lost []error, err error) {
	fsys, dir := s.fs, s.dir
	var missing error
	sizes := map[ids.FileNum]fileSize{}
	for _, t := range tree.Tables() {
		m := t.Place.Meta()
		on, known := sizes[m.File]
		if !known {
			on = sizeOf(fsys, dir, m.File)
			sizes[m.File] = on
		}
		size, err := checkTableFile(on, m)
		switch {
		case errors.Is(err, errTableMissing):
			missing = err
			fallthrough
		case errors.Is(err, errs.ErrCorrupt):
			lost = append(lost, err)
		case err != nil:
			return nil, err
		}
		tree.SetFileBytes(m.File, size)
	}
	if missing == nil || s.opts.ReadOnly {
		return lost, nil
	}
	named := map[ids.FileNum]bool{}
	for _, m := range state.Tables {
		named[m.File] = true
	}
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if kind, num := ids.ParseFileName(name); kind == ids.FileTable && !named[num] {
			return nil, fmt.Errorf("%w; and the manifest does not name %s, so that it may be an old one: "+
				"bring the missing file back, open the store to read it, or move %s elsewhere to go on without both", missing, name, name)
		}
	}
	return lost, nil
}

// standIn puts an empty file in the place of each table file that is missing. It is
// as damaged as no file for those who read it, but says that the store was opened
// without it: the next open need not ask again whether the manifest is an old one.
func (s *Store) standIn(lost []error) error {
	made := false
	for _, err := range lost {
		var ce *errs.CorruptError
		if !errors.Is(err, errTableMissing) || !errors.As(err, &ce) {
			continue
		}
		f, err := s.fs.Create(path.Join(s.dir, ce.File))
		if errors.Is(err, fs.ErrExist) {
			continue // another table of the same file
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return fmt.Errorf("stand-in for %s: %w", ce.File, err)
		}
		made = true
	}
	if !made {
		return nil
	}
	return s.fs.SyncDir(s.dir)
}

// fileSize is what the file system says of a table file, asked once for all of its
// tables.
type fileSize struct {
	bytes int64
	err   error
}

func sizeOf(fsys vfs.FS, dir string, num ids.FileNum) fileSize {
	bytes, err := fsys.Size(path.Join(dir, ids.TableFileName(num)))
	return fileSize{bytes, err}
}

// checkTableFile makes sure that the bytes of a table can be there at all, and
// gives the length of its file. The error for a missing file also matches
// errTableMissing.
func checkTableFile(on fileSize, m *sstable.Meta) (fileBytes uint64, err error) {
	name := ids.TableFileName(m.File)
	size, err := on.bytes, on.err
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, errs.Corruptf(name, -1, "%w, but the manifest names table %d in it", errTableMissing, m.ID)
	case err != nil:
		return 0, err
	case uint64(size) < m.Offset+m.Length:
		at := max(size, int64(m.Offset)) // the first byte of this table that is not there
		return uint64(size), errs.Corruptf(name, at, "the file ends at %d, but table %d reaches to %d", size, m.ID, m.Offset+m.Length)
	}
	return uint64(size), nil
}
