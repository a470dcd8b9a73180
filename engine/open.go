package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

// Open opens the store in dir. If dir is empty or missing, a new store with one
// empty fork, MainFork, is made in it, unless the options say otherwise. o may be
// nil. A store is open in one process at a time: ErrLocked. A directory that
// holds other things is left alone: ErrNotStore. Damage is a *CorruptError.
//
// The steps of an open, in an order that no crash in between can hurt:
//
//  1. lock the directory;
//  2. read the manifest, replay the log over it, and keep what forks and
//     snapshots reach; up to here nothing is changed;
//  3. write a new manifest with the state as it was read and a reservation of
//     numbers: it says nothing yet that only the log says;
//  4. start a new log segment, whose header seals the old one where it is proven
//     to be durable, and which repeats what may have been read from the operating
//     system's memory only: from here on no later crash can take back what was
//     recovered;
//  5. append to the manifest what the log added: it is never ahead of the log;
//  6. remove the files that the manifest, now durable, does not name, unless some
//     that it does name are not whole; put empty files in the place of those that
//     are missing, so that the next open knows that this one went on without them.
func Open(dir string, o *Options) (*Store, error) {
	s := &Store{dir: dir, opts: o.withDefaults()}
	s.fs = newDirSyncFS(s.opts.FS)
	s.mu.viewed = map[*viewer]struct{}{}
	s.mu.views = map[*view]struct{}{}
	s.mu.flats = map[*forktree.Node]*flat{}
	s.mu.claims = map[*forktree.Claim]struct{}{}
	s.mu.letBe = map[ids.NodeID]error{}
	s.mu.pins = map[*backup]manifest.Position{}
	s.mu.untidy = map[ids.NodeID]struct{}{}
	s.mu.unclaimed = sync.NewCond(&s.mu.Mutex)
	s.mu.onBroken = s.stopPublishing
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, diskFull(err)), s.abandon())
	}
	s.startBackground()
	if !s.opts.ReadOnly && !s.opts.Manual && s.logTooLong() {
		// Programs that open, write a little and close again would else gather
		// segments without end.
		if err := s.Flush(); err != nil {
			s.opts.Logger.Warn("the log could not be shortened", "error", err)
		}
	}
	return s, nil
}

func (s *Store) open() error {
	fresh, err := s.inspect()
	if err != nil {
		return err
	}
	if fresh {
		if err := makeDir(s.fs.FS, s.dir); err != nil { // a refusal there says nothing about the store's names
			return err
		}
	}
	if err := s.lockDir(); err != nil {
		return err
	}
	s.cache = sstable.NewCache(s.opts.CacheBytes)
	s.tables = sstable.NewTables(s.fs, s.dir, s.cache, s.opts.MaxOpenFiles)
	s.tables.LimitReaders(s.opts.TableCacheBytes)
	if fresh {
		switch _, _, err := manifest.Load(s.fs, s.dir); {
		case errors.Is(err, manifest.ErrNoStore):
			return s.create()
		case err != nil:
			return err
		}
		// Somebody else created the store before the lock was taken.
	}
	return s.recover()
}

// inspect tells whether a store has to be made in the directory, and refuses what
// is neither a store nor empty. It changes nothing.
func (s *Store) inspect() (fresh bool, err error) {
	names, err := s.fs.List(s.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.opts.ReadOnly || s.opts.MustExist {
			return false, fmt.Errorf("%w: the directory does not exist", ErrNotStore)
		}
		return true, nil
	case errors.Is(err, syscall.ENOTDIR):
		return false, fmt.Errorf("%w: it is not a directory", ErrNotStore)
	case err != nil:
		return false, err
	}
	if slices.Contains(names, unfinishedName) {
		return false, fmt.Errorf("%w: it holds a backup that was not finished, see the file %s in it", ErrNotStore, unfinishedName)
	}
	foreign, logs := "", false
	for _, name := range names {
		kind, _ := ids.ParseFileName(name)
		switch {
		case name == ids.CurrentName:
			return false, nil
		case kind == ids.FileSegment || kind == ids.FileTable:
			logs = true
		case name == ids.LockName || kind == ids.FileManifest || strings.HasPrefix(name, ids.CurrentName):
		default:
			foreign = name
		}
	}
	switch {
	case logs:
		// A store is given its CURRENT before its first segment, for good.
		return false, errs.Corruptf(ids.CurrentName, -1, "the file is missing, but the directory holds logs or tables of a store")
	case foreign != "":
		return false, fmt.Errorf("%w: it holds %q and no %s file", ErrNotStore, foreign, ids.CurrentName)
	case s.opts.ReadOnly || s.opts.MustExist:
		return false, fmt.Errorf("%w: the directory holds no %s file", ErrNotStore, ids.CurrentName)
	}
	return true, nil
}

// makeDir makes a directory and missing ones above it, durably. What is there may
// have been made a moment ago by a process that died before its sync, so the whole
// way up is synced, but for what this process may not look into.
func makeDir(fsys vfs.FS, dir string) error {
	dir = path.Clean(dir)
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for at := dir; at != path.Dir(at); at = path.Dir(at) {
		err := fsys.SyncDir(path.Dir(at))
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) lockDir() error {
	lock, err := s.fs.Lock(path.Join(s.dir, ids.LockName))
	if err != nil && s.opts.ReadOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return nil // nobody can write here
	}
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	s.lock = lock
	return err
}

// create makes a new store.
func (s *Store) create() error {
	const mainID, mainMemtable, firstID = 1, 2, 3
	state := manifest.NewState()
	if _, err := rand.Read(state.StoreID[:]); err != nil {
		return err
	}
	state.Forks.Put(manifest.Fork{
		ID: mainID, Name: MainFork, Memtable: mainMemtable, CreatedUnixNano: time.Now().UnixNano(),
	})
	state.Counters = manifest.Counters{Trimmed: 1, NextID: firstID, NextLSN: 1}
	tree, err := newReplay(state).tree()
	if err != nil {
		return err
	}
	if err := s.begin(tree, state, nil); err != nil {
		return err
	}
	return s.removeOrphans(nil)
}

// recover opens an existing store.
func (s *Store) recover() error {
	loaded, _, err := manifest.Load(s.fs, s.dir)
	if err != nil {
		return err
	}
	rec, tree, lost, err := s.rebuild(loaded)
	if err != nil {
		return err
	}
	for _, err := range lost {
		s.opts.Logger.Error("a table is lost: the forks that are read through it will fail", "error", err)
	}
	s.mu.newest = rec.Last
	if s.opts.ReadOnly {
		s.mu.tree = tree
		s.mu.lastLSN = rec.Last
		s.visible.Store(uint64(rec.Last))
		s.countRecoveredLocked()
		return nil
	}
	if err := s.begin(tree, loaded, rec); err != nil {
		return err
	}
	if len(lost) > 0 {
		// What no manifest names may be all that is left of a lost table: where one
		// is lost, nothing is removed.
		return s.standIn(lost)
	}
	return s.removeOrphans(rec)
}

// begin takes the recovered tree into use: steps 3 to 5 of Open. loaded is the
// manifest's state as it was read, before any record of the log.
func (s *Store) begin(tree *forktree.Tree, loaded *manifest.State, rec *wal.Recovered) error {
	s.mu.tree = tree
	s.nextID.Store(loaded.NextID)
	s.idBound.Store(loaded.NextID + numberBlock)
	s.mu.grace.begin(ids.ForkID(loaded.NextID), s.opts.Manual)
	s.lsnBound.Store(uint64(loaded.NextLSN + numberBlock))
	s.mu.lastLSN = loaded.NextLSN - 1
	s.mu.trimmed = loaded.Trimmed
	s.visible.Store(uint64(s.mu.lastLSN))
	s.countRecoveredLocked()

	change := manifest.Diff(loaded, tree.Recovered())

	loaded.NextID, loaded.NextLSN = s.idBound.Load(), ids.LSN(s.lsnBound.Load())
	var err error
	s.man, err = manifest.Create(s.fs, s.dir, loaded, manifest.Options{
		NextFile:    s.newFileNum,
		WaitDurable: func(lsn ids.LSN) error { return s.log.Sync(lsn) },
		OnFailure:   func(err error) { s.opts.Logger.Error("the manifest has failed", "error", err) },
		Forks:       s.forksForManifest,
		Pace:        s.pace,
		SlackBytes:  min(manifestSlackBytes, s.opts.SegmentBytes/4),
		Schedule:    s.opts.Schedule, RewriteBytes: s.opts.Schedule.RewriteBytes(),
	})
	if err != nil {
		return err
	}
	s.log, err = wal.Start(s.fs, s.dir, rec, s.mu.lastLSN+1, wal.Options{
		SegmentBytes: s.opts.SegmentBytes,
		NextFile:     s.newFileNum,
		MarkDelay:    s.markDelay(),
		OnFailure:    func(err error) { s.opts.Logger.Error("the log has failed", "error", err) },
		Schedule:     s.opts.Schedule,
	})
	if err != nil {
		return err
	}
	c := s.countersLocked()
	c.Applied = s.mu.newest
	change.Counters = &c
	return s.man.Sync(s.man.Append(change, s.mu.newest))
}

// manifestSlackBytes is the space that the manifest holds ready for a full disk; a
// store with small log segments is content with less.
const manifestSlackBytes = 1 << 20

// countRecoveredLocked counts the memory of what replay has built.
func (s *Store) countRecoveredLocked() {
	for _, f := range s.mu.tree.ActiveForks() {
		if f.Mem != nil {
			s.mu.activeBytes += f.Mem.Bytes()
			s.mu.activeMems++
		}
	}
	s.countMemoryLocked()
}

// markDelay turns the log's idle marker off where nothing may run by itself.
func (s *Store) markDelay() time.Duration {
	if s.opts.Manual {
		return -1
	}
	return 0
}

// rebuild reads the log over the manifest's state and builds the tree. It changes
// nothing on disk, and leaves state as it is. For lost, see measureTables.
func (s *Store) rebuild(state *manifest.State) (rec *wal.Recovered, tree *forktree.Tree, lost []error, err error) {
	r := newReplay(state)
	rec, err = wal.Replay(s.fs, s.dir, state.Trimmed, r.record)
	if err != nil {
		return nil, nil, nil, err
	}
	if rec.Last < state.Applied {
		return nil, nil, nil, errs.Corruptf("the log", -1, "it ends at LSN %d, but the manifest has the effect of LSN %d", rec.Last, state.Applied)
	}
	tree, err = r.tree()
	if err != nil {
		return nil, nil, nil, err
	}
	if lost, err = s.measureTables(tree, state); err != nil {
		return nil, nil, nil, err
	}
	return rec, tree, lost, nil
}

// abandon gives back what a failed open had taken.
func (s *Store) abandon() error {
	s.closed.Store(true)
	var err error
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	if s.man != nil {
		err = errors.Join(err, s.man.Close())
	}
	if s.tables != nil {
		err = errors.Join(err, s.tables.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
