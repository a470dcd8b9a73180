package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// checkFiles sorts the names in the directory: reached, left over, not ours.
func (c *checker) checkFiles() error {
	names, err := c.s.fs.List(c.s.dir)
	if err != nil {
		return err
	}
	r := c.report
	for _, name := range names {
		kind, num := ids.ParseFileName(name)
		c.checkNumber(name, kind, num)
		switch {
		case kind == ids.FileTable && c.tree == nil:
			if c.state == nil || !c.stateNames(num) {
				r.Undecided = append(r.Undecided, name)
			}
		case kind == ids.FileTable:
			if !c.tree.HasFile(num) {
				r.Leaked = append(r.Leaked, name)
			}
		case kind == ids.FileManifest:
			if c.state != nil && num != c.manifest.File {
				r.Stale = append(r.Stale, name)
			}
		case kind == ids.FileSegment:
			if c.log != nil && slices.Contains(c.log.Leftover, num) {
				r.Stale = append(r.Stale, name)
			}
		case name == ids.CurrentName || name == ids.LockName:
		case name == currentTempName:
			r.Stale = append(r.Stale, name)
		default:
			r.Foreign = append(r.Foreign, name)
		}
	}
	return nil
}

// checkNumber looks for a file whose number the manifest has never given out.
// Numbers are reserved durably before the first is used, so the manifest in force
// is an older one than there was, or the file comes from elsewhere. Manifests are
// the exception: a new one is numbered from the reservation that it brings.
func (c *checker) checkNumber(name string, kind ids.FileKind, num ids.FileNum) {
	if c.state == nil || uint64(num) < c.state.NextID || kind != ids.FileTable && kind != ids.FileSegment {
		return
	}
	c.add(Problem{File: name, Offset: -1, Text: fmt.Sprintf(
		"its number was never given out: numbers end at %d in %s, which may be an old copy", c.state.NextID, c.manifest.Name)})
}

// stateNames tells whether a table of the manifest lies in that file.
func (c *checker) stateNames(num ids.FileNum) bool {
	if c.named == nil {
		c.named = map[ids.FileNum]bool{}
		for _, m := range c.state.Tables {
			c.named[m.File] = true
		}
	}
	return c.named[num]
}

// checkTables compares the length of each table file with the tables that should
// be in it and, from CheckFull on, reads these.
func (c *checker) checkTables() error {
	if c.state == nil {
		return c.tablesAlone()
	}
	metas := c.metas()
	for len(metas) > 0 {
		n := 1
		for n < len(metas) && metas[n].File == metas[0].File {
			n++
		}
		if err := c.checkTableFile(metas[:n]); err != nil {
			return err
		}
		metas = metas[n:]
	}
	return nil
}

// checkTableFile checks the tables that should be in one file, given in the order
// of their offsets.
func (c *checker) checkTableFile(metas []*sstable.Meta) error {
	num := metas[0].File
	name := ids.TableFileName(num)
	size, err := c.s.fs.Size(path.Join(c.s.dir, name))
	missing := errors.Is(err, fs.ErrNotExist)
	if missing {
		c.report.Missing = append(c.report.Missing, name)
	}
	end := uint64(0)
	for _, m := range metas {
		c.report.Rows += m.Rows
		end = max(end, m.Offset+m.Length)
		switch {
		case missing:
			c.hit(sstable.WholeTable(m, -1, fmt.Errorf("the file is missing, but the manifest names table %d in it", m.ID)), m.ID, false)
		case err != nil:
			c.hit(sstable.WholeTable(m, -1, err), m.ID, true)
		case uint64(size) < m.Offset+m.Length:
			c.hit(sstable.WholeTable(m, size, fmt.Errorf("the file ends here, but table %d reaches to %d", m.ID, m.Offset+m.Length)), m.ID, false)
		case c.level != CheckQuick:
			if err := c.s.tables.Verify(m, func(f sstable.Fault) { c.hit(f, m.ID, unreadable(f.Err)) }); err != nil {
				return err
			}
		}
	}
	if err == nil && uint64(size) > end {
		return c.checkTail(num, end)
	}
	return nil
}

// checkTail looks at what follows the last table that is named in a file: tables
// that nothing needs any more may, and nothing else.
func (c *checker) checkTail(num ids.FileNum, end uint64) error {
	_, err := c.s.tables.VerifyFile(num, end, false, func(f sstable.Fault) { c.add(faultProblem(&f, 0)) })
	if err != nil && unreadable(err) && !errors.Is(err, ErrNewerFormat) {
		c.add(Problem{File: ids.TableFileName(num), Offset: int64(end), Text: err.Error(), Unreadable: true})
		return nil
	}
	return err
}

// hit adds a problem with a table and with those who read through it.
func (c *checker) hit(f sstable.Fault, table ids.TableID, unreadable bool) {
	p := faultProblem(&f, table)
	p.Unreadable = unreadable
	p.Forks = c.reached().through(table)
	c.add(p)
}
