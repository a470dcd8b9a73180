package forktree

import (
	"cmp"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

// file is a table file: it goes when its last table does.
type file struct {
	num       ids.FileNum
	tables    []*Table // those with alive > 0 and new ones, in no order
	alive     int32    // tables with alive > 0, and pins
	pins      int32    // jobs that have yet to make tables of it known, or copy some
	liveBytes uint64   // of the tables that nodes hold
	allBytes  uint64   // up to the end of the last table that was ever known in it
}

// sparse tells whether so little of the file is alive that it is worth copying what
// is. Each byte that is copied gives more than one back.
func (f *file) sparse() bool { return f.gappy() && f.liveBytes*2 < f.allBytes }

// gappy tells the same for times of rest. Four bytes that are copied give more than
// one back.
func (f *file) gappy() bool {
	return f.pins == 0 && f.liveBytes > 0 && float64(f.liveBytes) < 0.8*float64(f.allBytes)
}

func (f *file) add(tb *Table, m *sstable.Meta) {
	tb.file, tb.nth = f, len(f.tables)
	f.tables = append(f.tables, tb)
	f.allBytes = max(f.allBytes, m.Offset+m.Length)
}

func (f *file) remove(tb *Table) {
	last := len(f.tables) - 1
	f.tables[tb.nth] = f.tables[last]
	f.tables[tb.nth].nth = tb.nth
	f.tables[last] = nil
	f.tables = f.tables[:last]
}

func (t *Tree) fileOf(num ids.FileNum) *file {
	f := t.files[num]
	if f == nil {
		f = &file{num: num}
		t.files[num] = f
	}
	return f
}

// weigh keeps the list of gappy files, after anything about f has changed.
func (t *Tree) weigh(f *file) {
	if f.gappy() {
		t.gappy[f] = struct{}{}
	} else {
		delete(t.gappy, f)
	}
}

// PinFile keeps a file, although all of its tables that the tree knows may go, for a
// job that makes the tables of one file known in several steps: before the first of
// them. Likewise for one that copies tables out of it. UnpinFile takes the pin back,
// with or after the last step.
func (t *Tree) PinFile(num ids.FileNum) {
	f := t.fileOf(num)
	f.alive++
	f.pins++
	t.weigh(f)
}

// UnpinFile takes back one PinFile.
func (t *Tree) UnpinFile(num ids.FileNum) {
	f := t.files[num]
	invariant.Check(f != nil && f.pins > 0, "file %d is unpinned twice", num)
	f.pins--
	t.weigh(f)
	t.leave(f)
}

func (t *Tree) leave(f *file) {
	f.alive--
	if f.alive == 0 {
		delete(t.files, f.num)
		t.goneFiles = append(t.goneFiles, f.num)
	}
}

// SetFileBytes says how long a file is, dead bytes included: after the tree was
// loaded, or when a job's output is installed, of which not all may be wanted.
func (t *Tree) SetFileBytes(num ids.FileNum, n uint64) {
	if f := t.files[num]; f != nil {
		f.allBytes = max(f.allBytes, n)
		t.weigh(f)
	}
}

// Sparse gives live tables of files that are less than half alive, or at rest less than
// four fifths, neighbours beside
// each other, so that they can be copied elsewhere and the files can go: the first
// files by number, but no more than about so many bytes and tables. Tables that are
// let be are left out. It costs O(gappy files, and tables in those that are chosen).
func (t *Tree) Sparse(atRest bool, maxBytes uint64, maxTables int) []*Table {
	var files []*file
	for f := range t.gappy {
		if atRest || f.sparse() {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b *file) int { return cmp.Compare(a.num, b.num) })
	var out []*Table
	var bytes uint64
	for _, f := range files {
		first := len(out)
		for _, tb := range f.tables {
			if tb.held > 0 && !tb.letBe {
				out = append(out, tb)
			}
		}
		slices.SortFunc(out[first:], func(a, b *Table) int {
			return cmp.Compare(a.Place.Meta().Offset, b.Place.Meta().Offset)
		})
		for i := first; i < len(out); i++ {
			if bytes += out[i].Meta.Length; i > 0 && bytes > maxBytes || i == maxTables {
				return out[:i]
			}
		}
	}
	return out
}

// Gappy tells whether there are files that Sparse would look into at rest.
func (t *Tree) Gappy() bool { return len(t.gappy) > 0 }

// LetBe keeps a table that cannot be read from being chosen by Sparse again.
func (tb *Table) LetBe() { tb.letBe = true }

// Relocate says that a copy of the table lies elsewhere, durably. Readers turn to it
// at once, those of old views too, so that nothing but a pin keeps the old file, once
// the manifest knows. The table keeps its id, and so its rows their numbers and marks
// their rows. It tells whether anybody needs the table still. The file of the copy
// must be pinned, and the caller publishes in the same critical section.
func (t *Tree) Relocate(tb *Table, to sstable.Meta) (needed bool) {
	if tb.held == 0 {
		return false
	}
	old, f := tb.file, t.files[to.File]
	invariant.Check(f != nil && f.pins > 0, "table %d is moved to file %d, which may go", tb.Meta.ID, to.File)
	old.liveBytes -= tb.Meta.Length
	old.remove(tb)
	f.add(tb, &to)
	f.liveBytes += tb.Meta.Length
	f.alive++
	tb.Place.Move(to)
	tb.moved = true
	t.newTables = append(t.newTables, tb)
	t.weigh(old)
	t.weigh(f)
	t.leave(old)
	return true
}
