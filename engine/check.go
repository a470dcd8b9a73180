package engine

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/sstable"
)

// CheckLevel says how much Check reads.
type CheckLevel uint8

// The levels of Check.
const (
	// CheckFull also reads every block of every reachable table: checksums, row
	// order, counts, bounds, and the filter.
	CheckFull CheckLevel = iota
	// CheckQuick reads manifest and log, and compares the files on disk, and their
	// lengths, with those that forks and snapshots reach.
	CheckQuick
	// CheckDeep is CheckFull and computes a hash of what each fork and snapshot
	// holds, reading everything in two independent ways that must agree.
	CheckDeep
)

// CheckOptions says how a store is checked. The zero value is a good choice.
type CheckOptions struct {
	Level CheckLevel
	FS    vfs.FS // default: the operating system's
}

// Problem is one thing that is wrong with a store.
type Problem struct {
	File   string // as named in the store's directory; words if it is no single file
	Offset int64  // of the first bad byte; -1 if unknown
	Length int64  // of the part that is bad, in bytes; 0 if unknown
	Text   string
	// Forks are those that read through it, snapshots with an @ before their
	// names. A fork is named even if newer rows of its own hide what is bad.
	Forks []string
	// Keys is the range of keys whose rows cannot be trusted, or not be read: of a
	// bad block what lies between its neighbours, of any other part of a table all
	// that the table covers. Nil if no key is hit, or none that could be named.
	Keys *Range
	// Unreadable says that the disk gave an error instead of the bytes: whether
	// they are good is not known.
	Unreadable bool

	table ids.TableID // what is bad, 0 if no single table
}

// Damage is what one fork or snapshot cannot trust: the union of the key ranges
// of all problems that hit it. Rows in it may be hidden by newer ones, so a range
// says what may be wrong, not what is.
type Damage struct {
	Name string  // a snapshot's with an @ before it
	Keys []Range // disjoint, in order; a nil bound is none; not to be changed
}

// Place is an offset in a file of the store.
type Place struct {
	File   string
	Offset int64
}

// CheckReport is what Check found.
type CheckReport struct {
	Problems []Problem
	Damage   []Damage // the forks, then the snapshots, that are hit, by name
	Missing  []string // table files that are reached but not on disk
	Leaked   []string // table files on disk that nothing reaches; the next open removes them
	// Undecided are table files of which this damaged store cannot tell whether
	// anything reaches them.
	Undecided []string
	Stale     []string // other files of the store that the next open removes: old manifests, unused log segments
	Foreign   []string // files that no store makes; they are never touched

	Forks, Snapshots, Nodes, Tables, Files int
	Rows, TableBytes                       uint64
	LogRecords                             uint64
	LastLSN                                uint64
	Hashes                                 []ContentHash // of forks, then snapshots, by name; only at CheckDeep, and not of what is damaged
	Lookups                                uint64        // keys looked up at CheckDeep

	// A torn end of the log, or of the manifest, is what a crash leaves: the remains
	// of a write that was never acknowledged. The next open cuts it off.
	TornLog, TornManifest     bool
	TornLogAt, TornManifestAt Place
}

// OK tells whether nothing is damaged, missing or unreadable. A leak, or a torn
// tail, is what a crash leaves and the next open cleans up; it is not damage.
func (r *CheckReport) OK() bool { return len(r.Problems) == 0 && len(r.Missing) == 0 }

// Check examines the store in dir without changing a byte of it: pointer and
// manifest, every record of the log, the tree they make, the files it reaches
// against those on disk, and, at CheckFull and CheckDeep, every table. It goes on
// behind a problem with whatever can still be checked by itself. It returns an
// error only if the check itself was not possible, such as ErrLocked, ErrNotStore,
// ErrNewerFormat or ErrOldFormat; what is wrong with the store is in the report.
//
// The file LOCK is made if a store has lost it; that is all that is ever written.
// Cost: O(manifest + log); at CheckFull all tables are read once, at CheckDeep
// once more and once for each distinct content up to a bound. Memory: the tree and
// the unflushed rows, as for opening the store, and at CheckDeep a block for each
// run and O(nodes).
func Check(dir string, o CheckOptions) (*CheckReport, error) {
	c, err := newChecker(dir, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.run(); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	return c.report, nil
}

// checkCacheBytes is the memory for blocks while forks are read.
const checkCacheBytes = 8 << 20

// newChecker locks the directory and makes ready to check it. What is no store at
// all is refused; a store without its CURRENT is a checker that has a problem
// already.
func newChecker(dir string, o CheckOptions) (*checker, error) {
	s := &Store{dir: dir, opts: (&Options{ReadOnly: true, FS: o.FS}).withDefaults()}
	s.fs = newDirSyncFS(s.opts.FS)
	s.mu.views = map[*view]struct{}{}
	s.mu.flats = map[*forktree.Node]*flat{}
	c := &checker{s: s, level: o.Level, report: &CheckReport{}, scanSlack: scanSlack, known: map[problemKey]int{}}
	if _, err := s.inspect(); err != nil && !errors.Is(err, ErrCorrupt) {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	if err := s.lockDir(); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	s.tables = sstable.NewTables(s.fs, dir, sstable.NewCache(checkCacheBytes), 16)
	s.tables.LimitReaders(s.opts.TableCacheBytes)
	return c, nil
}

func (c *checker) close() {
	_ = c.s.tables.Close() // nothing was written
	if c.s.lock != nil {
		_ = c.s.lock.Close()
	}
}

// problem adds err to the report if it is about damaged data, and gives it for
// completion; nil if it is about something else.
func (c *checker) problem(err error) *Problem {
	var ce *errs.CorruptError
	if !errors.As(err, &ce) {
		return nil
	}
	return c.add(Problem{File: ce.File, Offset: ce.Offset, Text: ce.Err.Error(), Forks: ce.Forks})
}

// add puts a problem into the report, once. The pointer is good until the next
// call.
func (c *checker) add(p Problem) *Problem {
	key := problemKey{p.File, p.Offset, p.Text}
	at, twice := c.known[key]
	if !twice {
		at = len(c.report.Problems)
		c.known[key] = at
		c.report.Problems = append(c.report.Problems, p)
	}
	return &c.report.Problems[at]
}

// problemKey tells problems apart.
type problemKey struct {
	file   string
	offset int64
	text   string
}
