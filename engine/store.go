package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

// MainFork is the name of the fork that a new store begins with.
const MainFork = "main"

// Store is an open store. It may be used concurrently.
type Store struct {
	dir    string
	opts   Options
	fs     *dirSyncFS
	lock   io.Closer
	cache  *sstable.Cache
	tables *sstable.Tables
	log    *wal.Log      // nil if read-only
	man    *manifest.Log // nil if read-only

	closed  atomic.Bool
	visible atomic.Uint64 // the LSN through which every write is in its memtables

	// mu is the one lock of the tree, the log's order and the memtables' writers.
	// In it an LSN is taken, the target memtables are chosen, the record gets its
	// place in the log and the rows go into memory, all in one step; and so do
	// forks, drops, resets, freezes, claims, installs and the place of a manifest
	// transaction. No I/O happens under it.
	mu struct {
		treeLock
		tree        *forktree.Tree
		lastLSN     ids.LSN // the last one given out, or passed over when the store was opened
		newest      ids.LSN // of the newest record there is
		trimmed     ids.LSN // the log may lack records below
		activeBytes int64   // memory of the forks' own memtables
		activeMems  int     // how many forks have one
		zombies     []zombie
		viewed      map[*viewer]struct{}     // those with a cached view
		views       map[*view]struct{}       // all that pin something
		scratch     []byte                   // see scratchLocked
		parts       [][]byte                 // of the payload that is handed to the log
		flats       map[*forktree.Node]*flat // the latest of each node, while in use
		sievesAsked []*flat                  // that are to get a sieve
		sieveBytes  int64                    // that all sieves take
		weavesAsked []*flat                  // that are to get a weave
		weaveBytes  int64                    // that all weaves take
		claims      map[*forktree.Claim]struct{}
		letBe       map[ids.NodeID]error          // nodes that jobs keep away from, see shielded
		unclaimed   *sync.Cond                    // on mu; broadcast when claims are given back
		pins        map[*backup]manifest.Position // files that later transactions drop stay, see backuppin.go
		logPins     int                           // the log is not trimmed
		untidy      map[ids.NodeID]struct{}       // entered nodes at which tidy may find something
		grace       grace                         // which forks are young
		untidyLive  int                           // how many were left when those that are gone were taken out
	}
	logPinned   atomic.Bool   // mu.logPins > 0, for those who hold background.mu
	nextID      atomic.Uint64 // next number for a fork, snapshot, node, table or file
	idBound     atomic.Uint64 // numbers below are durably reserved
	lsnBound    atomic.Uint64 // LSNs below are durably reserved
	memoryBytes atomic.Int64  // of all memtables and nodes in memory
	flushRate   atomic.Int64  // bytes of memory a second; 0: not known yet
	owed        atomic.Uint64 // structural records, counted to publish now and then
	reserveMu   sync.Mutex    // one reservation of numbers at a time
	reserving   reservation   // under reserveMu

	closing sync.Mutex   // held by Close
	jobs    turn         // held by Flush, Compact and the like in the caller's goroutine
	backups sync.RWMutex // held for reading by Backup, for writing by Close
	back    background
	counter counters
	clock   clocks
}

// zombie is a table file that nothing needs any more. It is unlinked when the
// manifest is durable through at.
type zombie struct {
	num ids.FileNum
	at  manifest.Position
}

// A batch of numbers is reserved when fewer than lowNumbers are left, and writes
// wait for it when fewer than fewNumbers are: the rest is for files.
const (
	numberBlock = 1 << 16
	lowNumbers  = 1 << 12
	fewNumbers  = 1 << 10
)

// newID gives out a number that no fork, snapshot, node, table or file ever had.
func (s *Store) newID() uint64 {
	n := s.nextID.Add(1) - 1
	if n >= s.idBound.Load() { // the arguments of Check allocate
		invariant.Check(false, "number %d is given out before it is reserved", n)
	}
	return n
}

// newIDs gives out count numbers in a row, and tells the first.
func (s *Store) newIDs(count int) uint64 {
	end := s.nextID.Add(uint64(count))
	invariant.Check(end <= s.idBound.Load(), "numbers up to %d are given out before they are reserved", end)
	return end - uint64(count)
}

func (s *Store) newFileNum() ids.FileNum { return ids.FileNum(s.newID()) }
func (s *Store) newTableID() ids.TableID { return ids.TableID(s.newID()) }

// failure is what has stopped the store from writing, a disk error or a broken
// tree, nil while it is healthy.
func (s *Store) failure() error {
	if err := s.mu.failed(); err != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, err)
	}
	if err := s.log.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, err)
	}
	if err := s.man.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, err)
	}
	if s.fs.broken.Load() {
		return fmt.Errorf("%w: %w", ErrPoisoned, s.fs.failed())
	}
	return nil
}

// writable tells why a write cannot begin now, and sees to it that there are
// numbers for it. It may wait for I/O.
func (s *Store) writable() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.opts.ReadOnly {
		return ErrReadOnly
	}
	if err := s.failure(); err != nil {
		return err
	}
	return s.reserveNumbers(lowNumbers)
}

// reserveNumbers makes sure that at least atLeast ids and LSNs are reserved
// durably in the manifest, so that none is ever given out twice, whatever a crash
// forgets.
func (s *Store) reserveNumbers(atLeast uint64) error {
	// Every write asks this, so it takes no lock. What it sees of the LSNs may be old;
	// the writer looks again in its critical section.
	enough := func() bool {
		return s.idBound.Load()-s.nextID.Load() >= atLeast && s.lsnBound.Load()-s.visible.Load() > atLeast
	}
	if enough() {
		return nil
	}
	s.reserveMu.Lock()
	defer s.reserveMu.Unlock()
	if enough() {
		return nil
	}
	if s.reserving.at == 0 {
		s.reserving = s.reserve()
	}
	if err := s.man.Sync(s.reserving.at); err != nil {
		return s.writeError("reserve numbers", err)
	}
	s.idBound.Store(s.reserving.nextID)
	s.lsnBound.Store(uint64(s.reserving.nextLSN))
	s.reserving = reservation{}
	return nil
}

func (s *Store) reserve() reservation {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.countersLocked()
	c.NextID += numberBlock
	c.NextLSN += numberBlock
	return reservation{at: s.man.Append(&manifest.Transaction{Counters: &c}, 0), nextID: c.NextID, nextLSN: c.NextLSN}
}

// reservation is a block of numbers whose transaction has its place but is not
// durable yet. If a full disk refuses it, it is this one that is tried again.
type reservation struct {
	at      manifest.Position // 0: none
	nextID  uint64
	nextLSN ids.LSN
}

// countersLocked gives the manifest's counters as they stand, with Applied as it
// was last published.
func (s *Store) countersLocked() manifest.Counters {
	c := s.man.Counters()
	c.Trimmed = max(c.Trimmed, s.mu.trimmed)
	return c
}

// writeError turns an error of log or manifest into what a writer is told.
func (s *Store) writeError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wal.ErrClosed), errors.Is(err, manifest.ErrClosed):
		return fmt.Errorf("%s: %w", what, ErrClosed)
	case errors.Is(err, wal.ErrPoisoned), errors.Is(err, manifest.ErrPoisoned):
		return fmt.Errorf("%s: %w: %w", what, ErrPoisoned, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// acknowledge returns once the record with that LSN is durable (sync), or in the
// hands of the operating system. The record has its place in the log and readers
// may have seen it, so whatever goes wrong here leaves its fate open: the error is to
// be told as indeterminate.
func (s *Store) acknowledge(lsn ids.LSN, sync bool) error {
	if sync {
		return s.log.Sync(lsn)
	}
	return s.log.Write(lsn)
}

// indeterminate is what a writer is told whose record acknowledge has failed for.
func (s *Store) indeterminate(what string, err error) error {
	return fmt.Errorf("%w: %w", ErrIndeterminate, s.writeError(what, err))
}

// WaitLogged returns once the operating system has everything that a read could see
// when it was called: a killed process does not take it back. Writes can be read, and
// forks found, a moment before they are acknowledged, and a kill in that moment takes
// them back. Whoever tells others, who outlive the process, what it has read calls this
// first: a server. Nothing to wait for costs a load or two. It waits for no fsync; after
// a power loss only what was synced is certain. Errors: ErrPoisoned, ErrClosed.
func (s *Store) WaitLogged() error {
	if s.opts.ReadOnly || ids.LSN(s.visible.Load()) <= s.log.Written() {
		return nil
	}
	s.mu.Lock()
	lsn := s.mu.newest // what was visible first may be a number that an open passed over
	s.mu.Unlock()
	return s.writeError("wait for the log", s.log.Write(lsn))
}

// Sync makes every write that has been acknowledged so far durable.
func (s *Store) Sync() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.opts.ReadOnly {
		return nil
	}
	s.mu.Lock()
	lsn := s.mu.newest
	s.mu.Unlock()
	return s.writeError("sync", s.log.Sync(lsn))
}

// record appends one structural record: it makes room in the log, and then, in
// one critical section, lets change validate, take its LSN and change the tree.
// size is the exact length of the payload that change will return. privileged
// records may use the spare segment, and the space of the manifest, that are kept so
// that space can be freed when there is none. placed is the schedule point before the record is durable.
func (s *Store) record(what deed, placed schedule.Point, privileged bool, size int, sync bool,
	change func(lsn ids.LSN) (wal.Kind, []byte, error)) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !privileged { // else what is left of the manifest's space is there for it
		if err := s.man.HoldSpace(); err != nil {
			return s.writeError(what.String(), err)
		}
	}
	if err := s.waitForLog(nil); err != nil && !privileged && s.logOverrun() {
		return fmt.Errorf("%s: %w", what, err)
	} // else what costs a few bytes, or gives space back, is not refused for it
	if err := s.log.Reserve(size, privileged); err != nil {
		return s.writeError(what.String(), err)
	}
	s.opts.Schedule.Reach(schedule.RecordReserved)
	lsn, err := s.place(size, change)
	if err != nil {
		s.log.Unreserve(size)
		return fmt.Errorf("%s: %w", what, err)
	}
	s.opts.Schedule.Reach(placed)
	s.wakeIfFull()
	s.owe(1)
	if err := s.acknowledge(lsn, sync); err != nil {
		return s.indeterminate(what.String(), err)
	}
	return nil
}

// deed is what a record says is done, and to what, for errors.
type deed struct{ what, name string }

func (d deed) String() string {
	if d.name == "" {
		return d.what
	}
	return fmt.Sprintf("%s %q", d.what, d.name)
}

// payloadRoom is room for the payload of any record that is about one fork or snapshot.
// Its length does not depend on the ids in it, so it is known before they are: by
// encoding it once, into memory on the stack.
const payloadRoom = 256

// scratchLocked gives room for a payload that is copied into the log in the same
// critical section.
func (s *Store) scratchLocked(size int) []byte {
	const kept = 64 << 10
	if size > kept {
		return make([]byte, 0, size)
	}
	if cap(s.mu.scratch) < size {
		s.mu.scratch = make([]byte, 0, size)
	}
	return s.mu.scratch[:0]
}

// errFewNumbers makes a writer reserve more numbers and try again.
var errFewNumbers = errors.New("few numbers are left")

// place gives a record its LSN and its place, in one critical section with the change that
// it tells of. Its payload is what change returns and then behind, size bytes in all.
func (s *Store) place(size int, change func(lsn ids.LSN) (wal.Kind, []byte, error), behind ...[]byte) (ids.LSN, error) {
	for {
		lsn, err := s.placeOnce(size, change, behind)
		if !errors.Is(err, errFewNumbers) {
			return lsn, err
		}
		if err := s.reserveNumbers(lowNumbers); err != nil {
			return 0, err
		}
	}
}

func (s *Store) placeOnce(size int, change func(lsn ids.LSN) (wal.Kind, []byte, error), behind [][]byte) (ids.LSN, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.openLocked(); err != nil {
		return 0, err
	}
	lsn := s.mu.lastLSN + 1
	kind, payload, err := change(lsn)
	if err != nil {
		return 0, err
	}
	s.appendLocked(lsn, kind, size, payload, behind)
	return lsn, nil
}

// openLocked tells why a record cannot take its place now.
func (s *Store) openLocked() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := s.failure(); err != nil {
		return err
	}
	if s.idBound.Load()-s.nextID.Load() < fewNumbers || s.lsnBound.Load()-uint64(s.mu.lastLSN) < fewNumbers {
		return errFewNumbers
	}
	return nil
}

func (s *Store) appendLocked(lsn ids.LSN, kind wal.Kind, size int, payload []byte, behind [][]byte) {
	parts := append(append(s.mu.parts[:0], payload), behind...)
	whole := 0
	for _, part := range parts {
		whole += len(part)
	}
	if whole != size {
		panic(fmt.Sprintf("engine: a record of kind %d has %d bytes, %d were reserved", kind, whole, size))
	}
	s.mu.lastLSN, s.mu.newest = lsn, lsn
	s.log.Append(lsn, kind, parts...)
	clear(parts)
	s.mu.parts = parts
	s.visible.Store(uint64(lsn))
	s.countMemoryLocked()
}

func (s *Store) countMemoryLocked() {
	s.memoryBytes.Store(s.mu.activeBytes + s.mu.tree.MemoryBytes())
}

// memtableLocked gives the fork's memtable, making it with the first write. A view
// that was taken while there was none is forgotten.
func (s *Store) memtableLocked(f *forktree.Fork, lsn ids.LSN) *memtable.Memtable {
	if f.Mem != nil {
		return f.Mem.(*memtable.Memtable)
	}
	m := memtable.New()
	f.Mem, f.Low = m, lsn
	s.mu.activeBytes += m.Bytes()
	s.mu.activeMems++
	s.forgetForkViewLocked(f)
	return m
}
