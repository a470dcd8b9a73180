package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// Ref says which fork or snapshot is meant: that of the name, and if ID is not 0 only if
// it has that number too. Another that was made or renamed to bear the name is not it.
type Ref struct {
	Name string
	ID   uint64
}

// BackupOptions say what a backup holds. The zero value is all of the store.
type BackupOptions struct {
	// Forks and Snapshots are those to be held, which must be there at the moment that is
	// copied. If both are empty, all are; otherwise only these, of which at least one is
	// a fork. Of the others nothing gets into the backup, neither a row nor a name.
	Forks, Snapshots []Ref
	// Progress is told how many bytes of tables are copied, and how many there are, if
	// it is not nil. It is called from the goroutine that called Backup.
	Progress func(done, total uint64)
}

// BackupReport is what a backup holds.
type BackupReport struct {
	LSN              uint64 // the cut: the last write that is in it
	Forks, Snapshots int
	Tables           int
	TableBytes       uint64
	LogRecords       int // writes that are not in tables, and what goes with them
	Files            int
	Bytes            uint64 // of all files
}

// Backup copies the store, as it is at one moment, into a store of its own: every
// write that was acknowledged before the call is in it, and of any other either all
// or nothing, the same for all forks. Open opens what it makes; until the last step
// Open refuses it. The forks keep their ids, and the store its own.
//
// Reads, writes, forks, drops and merges go on meanwhile, and nothing is flushed or
// frozen. Files that nothing needs any more stay on the disk until the backup ends,
// and so do the log's segments of the beginning. Every table is verified as it is
// copied: a damaged one ends the backup with a *CorruptError. Cost: one read of the
// tables and of the log, and memory for the largest table, the largest log segment,
// and the tree without its rows.
//
// A store that was opened read-only is backed up like any other; that is also how a
// backup is copied.
//
// If it fails, what the sink was given is of no use. Close ends a backup that runs
// with ErrClosed.
func (s *Store) Backup(ctx context.Context, to BackupSink, o BackupOptions) (report *BackupReport, err error) {
	defer s.contain(&err)
	s.backups.RLock() // Close waits for it
	defer s.backups.RUnlock()
	b := &backup{s: s, ctx: ctx, opts: o, to: &sinkFS{to: to}, report: &BackupReport{}}
	if err := b.run(); err != nil {
		return nil, fmt.Errorf("backup: %w", diskFull(s.blame(err)))
	}
	return b.report, nil
}

// backup is one call of Backup. It belongs to the goroutine of the call, but for its
// entry in Store.mu.
//
//  1. Pin: from here on no file is unlinked because of what comes later, and no
//     segment of the log (pin, in backuppin.go).
//  2. Choose the cut, and read the manifest, which may be older than the cut and must
//     not be newer.
//  3. Hold the log's segments open; from here on they may be trimmed.
//  4. Replay the log up to the cut over the manifest, without its rows: that is the
//     tree at the cut. Leave out what is not asked for (backuplog.go).
//  5. Copy the tables that are reached.
//  6. Write what is needed of the log, and a manifest that says it is all applied. The
//     file CURRENT is the last of the store's; then the sink makes the whole count.
type backup struct {
	s      *Store
	ctx    context.Context
	opts   BackupOptions
	to     *sinkFS
	report *BackupReport

	cut   ids.LSN
	state *manifest.State // of the backup; as it was loaded at first
	log   *heldLog
	next  atomic.Uint64 // number for a file of the backup
}

func (b *backup) run() error {
	defer b.release()
	if err := b.hold(); err != nil {
		return err
	}
	tree, err := b.replay()
	if err != nil {
		return err
	}
	b.state = b.reached(tree)
	b.report.Forks, b.report.Snapshots = b.state.Forks.Len(), len(b.state.Snapshots)
	b.report.LSN = uint64(b.cut)
	if err := b.copyTables(); err != nil {
		return err
	}
	if err := b.writeLog(needed(tree)); err != nil {
		return err
	}
	if err := b.writeManifest(); err != nil {
		return err
	}
	if err := b.to.finish(); err != nil {
		return err
	}
	b.report.Files, b.report.Bytes = b.to.files, b.to.bytes
	return nil
}

// stopped tells whether to give up.
func (b *backup) stopped() error {
	if b.s.closed.Load() {
		return ErrClosed
	}
	return b.ctx.Err()
}

func (b *backup) nextFile() ids.FileNum { return ids.FileNum(b.next.Add(1) - 1) }

// reached is the manifest of what the tree holds. Numbers for files of the backup
// begin behind all that the store has given out.
func (b *backup) reached(tree *forktree.Tree) *manifest.State {
	state := tree.Recovered()
	state.StoreID, state.Counters = b.state.StoreID, b.state.Counters
	b.next.Store(state.NextID)
	return state
}

// copyTables copies the tables, in the order in which they lie on the disk, and says
// where they are now.
func (b *backup) copyTables() error {
	metas := make([]sstable.Meta, 0, len(b.state.Tables))
	var total, done uint64
	for _, m := range b.state.Tables {
		metas = append(metas, m)
		total += m.Length
	}
	slices.SortFunc(metas, func(x, y sstable.Meta) int {
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Offset, y.Offset))
	})
	out := compaction.NewOutput(b.to, ".", compaction.OutputOptions{
		TableBytes: uint64(b.s.opts.TableBytes), FileBytes: uint64(b.s.opts.TableBytes), NextFile: b.nextFile,
		NextTable: func() ids.TableID { panic("engine: a backup makes no table") }, // it only copies
	})
	var whole []byte
	for i := range metas {
		m := &metas[i]
		if err := b.stopped(); err != nil {
			return err
		}
		var err error
		if whole, err = b.s.tables.Whole(m, whole); err != nil {
			return err
		}
		if b.state.Tables[m.ID], err = out.AddTable(whole, *m); err != nil {
			return err
		}
		done += m.Length
		if b.opts.Progress != nil {
			b.opts.Progress(done, total)
		}
	}
	b.report.Tables, b.report.TableBytes = len(metas), total
	return out.Sync()
}

// writeManifest writes the manifest, and CURRENT, which names it.
func (b *backup) writeManifest() error {
	b.state.NextID = b.next.Load() + numberBlock
	m, err := manifest.Create(b.to, ".", b.state, manifest.Options{NextFile: b.nextFile})
	if err != nil {
		return err
	}
	return m.Close()
}
