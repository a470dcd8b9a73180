package engine

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/sstable"
)

// relocateJobTables bounds what one relocation copies, so that its result is
// installed, and old files can go, before the next is begun. In bytes it is bounded
// by two files' worth.
const relocateJobTables = 4096

// relocateSparse gives the space inside shared files back: what is alive in files
// that are less than half alive, or at rest less than four fifths, is copied to new files, table by table and as it is,
// and the old files go. It tells whether it did anything. A table that cannot be read
// stays where it is, with its file, until the store is opened again; the error says so,
// once, and the others are copied.
func (s *Store) relocateSparse(atRest bool, stop func() error) (did bool, err error) {
	for {
		if stopped := stop(); stopped != nil {
			return did, errors.Join(stopped, err)
		}
		r := s.pickSparse(atRest)
		if len(r.tables) == 0 {
			return did, err
		}
		unread, failed := s.relocate(r, stop)
		if err = errors.Join(err, unread, failed); failed != nil {
			return did, err
		}
		did = did || len(r.tables) > 0
	}
}

// relocation is one job: tables of sparse files on their way to new files. It pins
// the old files from the choice to the end, and the new ones from before the first
// table is moved: so no two jobs copy out of one file. It claims no node. A merge may
// consume a table meanwhile; then the copy is of no use, and goes with its file.
type relocation struct {
	tables  []*forktree.Table
	sources []ids.FileNum
	copies  []sstable.Meta // of tables, in their order
}

func (s *Store) pickSparse(atRest bool) *relocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &relocation{tables: s.mu.tree.Sparse(atRest, 2*uint64(s.opts.TableBytes), relocateJobTables)}
	for _, t := range r.tables {
		num := t.Place.Meta().File // tables of one file stand beside each other
		if len(r.sources) == 0 || r.sources[len(r.sources)-1] != num {
			r.sources = append(r.sources, num)
			s.mu.tree.PinFile(num)
		}
	}
	return r
}

// relocate carries a job out. See flushJob for the order in which things become
// durable.
func (s *Store) relocate(r *relocation, stop func() error) (unread, err error) {
	s.opts.Schedule.Reach(schedule.MergePicked)
	out, err := s.newOutput()
	if err != nil {
		s.unpinFiles(r.sources)
		return nil, err
	}
	unread, err = s.copyTables(r, out, stop)
	if err == nil {
		err = out.Sync()
	}
	if err != nil {
		s.unpinFiles(r.sources)
		return unread, errors.Join(diskFull(err), s.discard(out))
	}
	s.opts.Schedule.Reach(schedule.MergeWritten)
	s.installRelocated(r, out)
	err = s.afterInstall(schedule.MergePlaced)
	s.closeOutput(out)
	return unread, err
}

// copyTables copies the tables, and leaves those out of r that cannot be read: unread
// says why.
func (s *Store) copyTables(r *relocation, out *compaction.Output, stop func() error) (unread, err error) {
	var whole []byte
	kept := r.tables[:0]
	for _, t := range r.tables {
		if err := stop(); err != nil {
			return unread, err
		}
		m := t.Place.Meta()
		whole, err = s.tables.Whole(m, whole)
		if err != nil {
			unread = errors.Join(unread, fmt.Errorf("relocate table %d: %w", m.ID, s.blame(err)))
			s.letTableBe(t)
			continue
		}
		to, err := out.AddTable(whole, *m)
		if err != nil {
			return unread, err
		}
		kept = append(kept, t)
		r.copies = append(r.copies, to)
	}
	r.tables = kept
	return unread, nil
}

func (s *Store) letTableBe(t *forktree.Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.LetBe()
}

// installRelocated moves the tables to their copies, some at a time. Reads turn to
// the copies at once; the old files stay until the manifest says so durably.
func (s *Store) installRelocated(r *relocation, out *compaction.Output) {
	s.pinFiles(out.Files())
	few := s.opts.Schedule.Few(claimsAtOnce)
	for first := 0; first < max(1, len(r.tables)); first += few {
		if first > 0 {
			s.opts.Schedule.Reach(schedule.MergePlaced)
		}
		last := min(first+few, len(r.tables))
		s.installed(nil, func() {
			for i, t := range r.tables[first:last] {
				if s.mu.tree.Relocate(t, r.copies[first+i]) {
					s.counter.tablesRelocated.Add(1)
					s.counter.bytesRelocated.Add(t.Meta.Length)
				}
			}
			if last == len(r.tables) {
				s.unpinOutputLocked(out)
				s.unpinFilesLocked(r.sources)
			}
		})
	}
}

func (s *Store) unpinFiles(files []ids.FileNum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unpinFilesLocked(files)
}
