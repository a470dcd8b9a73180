package damage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"sync"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
)

// storeDir is the directory of the store within its file system.
const storeDir = "store"

// Specimen is a whole store that is to be damaged, and what is known of it
// without asking it. It is immutable and may be used concurrently.
type Specimen struct {
	Name    string
	fs      *crashfs.FS
	options engine.Options
	files   map[string][]byte   // undamaged
	earlier []map[string][]byte // the same store's files at earlier moments

	states []model.State        // after each operation
	lsns   []uint64             // lsns[k]: the log's last record after k operations
	synced []bool               // synced[k]: operation k was acknowledged as durable
	keys   []string             // that were ever used, and some that were not
	prints map[string]footprint // what each fork and snapshot reads
	paths  map[string]footprint // the tables below each, read or not

	chain   []segment // the log, newest first
	tip     segment   // the last segment of the log
	applied uint64    // what the manifest knows to have been in the log
	next    uint64    // the next number it will give out

	mu       sync.Mutex
	expected map[int]map[string]*expected // by number of operations, as needed
}

// newSpecimen takes the files of a store as they are; nothing may change them any
// more.
func newSpecimen(name string, fs *crashfs.FS, o engine.Options, b *builder) (*Specimen, error) {
	s := &Specimen{
		Name: name, fs: flatten(fs), options: o, files: filesOf(fs), earlier: b.earlier,
		states: b.states, lsns: b.lsns, synced: b.synced, expected: map[int]map[string]*expected{},
	}
	s.keys = b.keysUsed()
	s.chain = chainOf(s.files)
	s.tip = s.chain[0]
	state, _, err := manifest.Load(s.fs, storeDir)
	if err != nil {
		return nil, err
	}
	s.applied, s.next = uint64(state.Applied), state.NextID
	readers := slices.Sorted(maps.Keys(s.want(len(s.states) - 1)))
	if s.prints, err = watch(s.fs.AfterKill(), o, readers, s.keys); err != nil {
		return nil, fmt.Errorf("specimen %s: %w", name, err)
	}
	if s.paths, err = pathsOf(s.fs.AfterKill(), o); err != nil {
		return nil, fmt.Errorf("specimen %s: %w", name, err)
	}
	return s, s.sound()
}

// sound makes sure that there is nothing to find before anything is damaged.
func (s *Specimen) sound() error {
	fs := s.fs.AfterKill()
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckFull, FS: fs})
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("specimen %s: check finds %v %v", s.Name, report.Problems, report.Missing)
	}
	if got := s.tip.lastLSN(); got != report.LastLSN {
		return fmt.Errorf("specimen %s: the log ends at LSN %d, and the oracle reads it to %d", s.Name, report.LastLSN, got)
	}
	return s.reopens(fs, len(s.states)-1)
}

// reopens demands that the store opens and holds exactly the state after k
// operations.
func (s *Specimen) reopens(fs *crashfs.FS, k int) error {
	o := s.options
	o.FS = fs
	store, err := engine.Open(storeDir, &o)
	if err != nil {
		return err
	}
	err = s.holds(store, s.want(k))
	return errors.Join(err, store.Close())
}

// holds demands that every fork and snapshot is there, is read without an error,
// and holds what it should in one of the states.
func (s *Specimen) holds(store *engine.Store, states ...map[string]*expected) error {
	readings, err := s.readAll(store, false)
	if err != nil {
		return err
	}
	for _, r := range readings {
		if err := r.failure(); err != nil {
			return fmt.Errorf("%s: %w", r.who, err)
		}
	}
	wrong := ""
	for _, want := range states {
		if wrong = mismatch(readings, want, s.keys); wrong == "" {
			break
		}
	}
	if wrong != "" {
		return errors.New(wrong)
	}
	return nil
}

// readAll reads every fork and snapshot that the store says it has.
func (s *Specimen) readAll(store *engine.Store, getsFirst bool) ([]*reading, error) {
	var who []string
	for _, f := range store.Forks() {
		who = append(who, f.Name)
	}
	for _, n := range store.Snapshots() {
		who = append(who, "@"+n.Name)
	}
	var out []*reading
	for _, name := range who {
		r, err := openReader(store, name)
		if err != nil {
			return nil, fmt.Errorf("handle of %s: %w", name, err)
		}
		out = append(out, read(r, name, s.keys, getsFirst))
	}
	return out, nil
}

// mismatch tells where readings contradict a state, "" if nowhere.
func mismatch(readings []*reading, want map[string]*expected, keys []string) string {
	for _, r := range readings {
		e := want[r.who]
		if e == nil {
			return r.who + " exists and should not"
		}
		if d := r.wrong(e, keys); d != "" {
			return r.who + ": " + d
		}
	}
	if len(readings) < len(want) {
		return fmt.Sprintf("%d forks and snapshots, want %d", len(readings), len(want))
	}
	return ""
}

// want gives what each fork and snapshot holds after k operations.
func (s *Specimen) want(k int) map[string]*expected {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.expected[k]; w != nil {
		return w
	}
	w := expectState(s.states[k])
	s.expected[k] = w
	return w
}

func expectState(state model.State) map[string]*expected {
	w := map[string]*expected{}
	for name, f := range state.Forks.All() {
		w[name] = expect(f.Contents)
	}
	for name, n := range state.Snapshots.All() {
		w["@"+name] = expect(n.Contents)
	}
	return w
}

// floor is how many operations must at least be there after a case: all of them,
// unless it damages the end of the log.
func (s *Specimen) floor(c Case) int {
	lsn, lossless := s.kept(c)
	if lossless {
		return len(s.states) - 1
	}
	known := true
	for name := range c.Files {
		known = known && kindOf(name) == "segment"
	}
	if known {
		lsn = max(lsn, s.applied)
	}
	return sort.Search(len(s.lsns), func(k int) bool { return s.lsns[k] > lsn }) - 1
}

// kept is the LSN through which the log must be kept in a case. If the last segment
// cannot be told from an unused file, the one before is the last.
func (s *Specimen) kept(c Case) (lsn uint64, lossless bool) {
	for i, segment := range s.chain {
		after, touched := c.Files[segment.name]
		if !touched {
			return lsn, i == 0
		}
		kept, all := segment.keeps(s.files[segment.name], after)
		switch {
		case all:
			return lsn, i == 0
		case i == 0:
			lsn = kept
		default:
			lsn = min(lsn, kept)
		}
		if !segment.unrecognized(s.files[segment.name], after) {
			return lsn, false
		}
	}
	return 0, false // no segment is left that says anything: only the manifest does
}

// syncedBehind tells whether one of the operations behind the first k was
// acknowledged as durable.
func (s *Specimen) syncedBehind(k int) bool { return slices.Contains(s.synced[k+1:], true) }

// vouched tells whether a case damages bytes of the last segment that a sync mark
// vouches for, and with them the marks that do.
func (s *Specimen) vouched(c Case) bool {
	after, touched := c.Files[s.tip.name]
	first := firstDifference(s.files[s.tip.name], after)
	return touched && slices.ContainsFunc(s.tip.frames, func(f frame) bool { return f.mark && first < f.through })
}

// hit gives the forks and snapshots that are read through a byte of a table file,
// in the order and spelling of errors; offset -1 means any byte.
func (s *Specimen) hit(name string, offset int64) []string {
	var out []string
	for who, p := range s.prints {
		if p.covers(name, offset) {
			out = append(out, who)
		}
	}
	slices.Sort(out)
	return out
}

// blames tells whether the named ones may be said to be hit by damage at a place of
// a table file: all who read the place, and besides them only such as have the table
// below them. These need not read it, since rows that are deleted for them are
// stepped over unread.
func (s *Specimen) blames(forks []string, name string, offset int64) bool {
	for _, who := range forks {
		if !s.paths[who].covers(name, offset) {
			return false
		}
	}
	for _, who := range s.hit(name, offset) {
		if !slices.Contains(forks, who) {
			return false
		}
	}
	return true
}

// damaged makes the store as the case leaves it.
func (s *Specimen) damaged(c Case) *crashfs.FS {
	fs := s.fs.AfterKill()
	for name, after := range c.Files {
		put(fs, name, after)
	}
	return fs
}

// put gives a file another content, or takes it away.
func put(fs *crashfs.FS, name string, content []byte) {
	at := path.Join(storeDir, name)
	if content != nil {
		must(fs.WriteFile(at, content))
		return
	}
	if _, err := fs.Size(at); err == nil {
		must(errors.Join(fs.Remove(at), fs.SyncDir(storeDir)))
	}
}

// must is for calls to the file system in memory that only fail if the test
// itself is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// filesOf gives all files of the store, but for the lock.
func filesOf(fs *crashfs.FS) map[string][]byte {
	files := map[string][]byte{}
	for _, at := range fs.Names() {
		if kindOf(path.Base(at)) == "LOCK" {
			continue
		}
		b, err := fs.ReadFile(at)
		must(err)
		files[path.Base(at)] = b
	}
	return files
}

// flatten makes a file system of the same files, on which all is durable.
func flatten(fs *crashfs.FS) *crashfs.FS {
	flat := crashfs.New()
	for name, b := range filesOf(fs) {
		must(flat.WriteFile(path.Join(storeDir, name), b))
	}
	return flat
}

// chainOf gives the segments of an undamaged log, newest first.
func chainOf(files map[string][]byte) []segment {
	var chain []segment
	for name, b := range files {
		if kindOf(name) != "segment" {
			continue
		}
		if s, used := parseSegment(name, b); used {
			chain = append(chain, s)
		}
	}
	slices.SortFunc(chain, func(a, b segment) int {
		return cmp.Or(cmp.Compare(b.ordinal, a.ordinal), cmp.Compare(b.number, a.number))
	})
	return chain
}
