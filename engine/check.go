package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

// CheckLevel says how much Check reads.
type CheckLevel uint8

// The levels of Check.
const (
	// CheckFull also reads every block of every reachable table: checksums, row
	// order, counts, bounds, and the filter.
	CheckFull CheckLevel = iota
	// CheckQuick reads manifest and log, and compares the files on disk with those
	// that forks and snapshots reach.
	CheckQuick
	// CheckDeep also computes a hash of what each fork and snapshot holds, reading
	// everything in two independent ways that must agree.
	CheckDeep
)

// CheckOptions says how a store is checked. The zero value is a good choice.
type CheckOptions struct {
	Level CheckLevel
	FS    vfs.FS // default: the operating system's
}

// Problem is one thing that is wrong with a store.
type Problem struct {
	File   string
	Offset int64 // of the first bad byte; -1 if unknown
	Text   string
	Forks  []string // what reads through it; snapshots with an @
}

// CheckReport is what Check found.
type CheckReport struct {
	Problems []Problem
	Leaked   []string // table files on disk that nothing reaches; the next open removes them
	Missing  []string // table files that are reached but not on disk

	Forks, Snapshots, Nodes, Tables, Files int
	Rows, TableBytes                       uint64
	LogRecords                             uint64
	LastLSN                                uint64
	Hashes                                 []ContentHash // by name; only at CheckDeep, and not of what is damaged
	Lookups                                uint64        // keys looked up at CheckDeep
	TornLog                                bool          // the log ends in an interrupted write, as after a crash
	TornManifest                           bool          // the manifest does
}

// OK tells whether nothing is damaged or missing. A leak, or a torn tail, is what
// a crash leaves and the next open cleans up; it is not damage.
func (r *CheckReport) OK() bool { return len(r.Problems) == 0 && len(r.Missing) == 0 }

// Check examines the store in dir without changing a byte of it: pointer and
// manifest, every record of the log, the tree they make, the files it reaches
// against those on disk, and, at CheckFull, every table. It returns an error only
// if the check itself was not possible, such as ErrLocked or ErrNotStore; what is
// wrong with the store is in the report.
func Check(dir string, o CheckOptions) (*CheckReport, error) {
	s := &Store{dir: dir, opts: (&Options{ReadOnly: true, FS: o.FS}).withDefaults()}
	s.fs = &dirSyncFS{FS: s.opts.FS}
	s.tables = sstable.NewTables(s.fs, dir, sstable.NewCache(8<<20), 16)
	defer s.tables.Close()
	report := &CheckReport{}
	if _, err := s.inspect(); err != nil {
		if report.problem(err) {
			return report, nil
		}
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	if err := s.lockDir(); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	if s.lock != nil {
		defer s.lock.Close()
	}
	err := report.run(s, o.Level)
	if err != nil && !report.problem(err) {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	return report, nil
}

// problem adds err to the report if it is about damaged data.
func (r *CheckReport) problem(err error) bool {
	var ce *errs.CorruptError
	if !errors.As(err, &ce) {
		return false
	}
	r.Problems = append(r.Problems, Problem{File: ce.File, Offset: ce.Offset, Text: ce.Err.Error(), Forks: ce.Forks})
	return true
}

func (r *CheckReport) run(s *Store, level CheckLevel) error {
	fsys, dir := s.fs, s.dir
	state, info, err := manifest.Load(fsys, dir)
	if err != nil {
		return err
	}
	r.TornManifest = info.TornOffset >= 0
	rp := newReplay(state)
	rec, err := wal.Replay(fsys, dir, state.Trimmed, func(rec wal.Record) error {
		r.LogRecords++
		return rp.record(rec)
	})
	if err != nil {
		return err
	}
	r.TornLog, r.LastLSN = rec.Torn, uint64(rec.Last)
	if rec.Last < state.Applied {
		return errs.Corruptf("the log", -1, "it ends at LSN %d, but the manifest has the effect of LSN %d", rec.Last, state.Applied)
	}
	tree, err := forktree.Load(rp.state, rp.frozen, rp.mems)
	if err != nil {
		return &errs.CorruptError{File: "the log and the manifest", Offset: -1, Err: err}
	}
	if err := tree.Verify(nil, nil); err != nil {
		return fmt.Errorf("the tree that was recovered contradicts itself: %w", err)
	}
	r.Forks, r.Snapshots, r.Nodes = tree.ForkCount(), tree.SnapshotCount(), tree.NodeCount()
	r.Tables, r.Files, r.TableBytes = tree.TableCount(), tree.FileCount(), tree.LiveBytes()
	if err := r.files(fsys, dir, tree); err != nil {
		return err
	}
	s.mu.tree, s.mu.views = tree, map[*view]struct{}{}
	if err := r.tables(s, level); err != nil || level != CheckDeep || !r.OK() {
		return err
	}
	return r.deep(s, nil)
}

// files compares the table files on disk with those that the tree reaches.
func (r *CheckReport) files(fsys vfs.FS, dir string, tree *forktree.Tree) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if kind, num := ids.ParseFileName(name); kind == ids.FileTable && !tree.HasFile(num) {
			r.Leaked = append(r.Leaked, name)
		}
	}
	return nil
}

func (r *CheckReport) tables(s *Store, level CheckLevel) error {
	fsys, dir, tree, readers := s.fs, s.dir, s.mu.tree, s.tables
	tables := tree.Tables()
	slices.SortFunc(tables, func(a, b *forktree.Table) int {
		if a.Meta.File != b.Meta.File {
			return int(int64(a.Meta.File) - int64(b.Meta.File))
		}
		return int(int64(a.Meta.Offset) - int64(b.Meta.Offset))
	})
	for _, t := range tables {
		m := &t.Meta
		r.Rows += m.Rows
		name := ids.TableFileName(m.File)
		_, err := checkTableFile(fsys, dir, *m)
		if _, sizeErr := fsys.Size(path.Join(dir, name)); sizeErr != nil {
			if !slices.Contains(r.Missing, name) {
				r.Missing = append(r.Missing, name)
			}
		} else if err == nil && level != CheckQuick {
			var reader *sstable.Reader
			if reader, err = readers.Reader(m); err == nil {
				err = reader.Verify()
			}
		}
		var ce *errs.CorruptError
		if errors.As(err, &ce) {
			hit := *ce
			hit.Forks = forksHit(tree, m.File, int64(m.Offset))
			err = &hit
		}
		if err != nil && !r.problem(err) {
			return err
		}
	}
	return nil
}
