package forktree

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
)

var seeds = flag.Int("seeds", 400, "how many seeds the protocol test runs")

const (
	stepsPerSeed     = 200
	stepsPerDeepSeed = 500
)

// TestProtocol drives a real tree and real manifest states through random work
// and crashes, and compares every fork with what it should hold, after each step
// and after each crash. Repeat one seed with -run TestProtocol/seed_17.
func TestProtocol(t *testing.T) {
	total := map[string]int{}
	n := int64(*seeds)
	if testing.Short() {
		n /= 4
	}
	for seed := range n {
		s := newProtocolStore(seed, "")
		if err := s.live(); err != nil {
			t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) { require.NoError(t, err) })
			return
		}
		for what, n := range s.seen {
			total[what] += n
		}
	}
	t.Log(total)
	for _, what := range []string{
		"crash", "crash ahead of the synced log", "crash with unsynced transactions", "reopen", "orphan", "trim", "unlink",
		"flush", "merge", "merge across a branch point", "join", "consolidation", "job discarded", "a view outlives its run",
		"tombstone dropped", "tombstone kept", "tombstone kept over memory", "tombstone resolved", "deleted below already",
		"range resolved", "a range waits for memory", "hidden rows marked",
		"merge that takes tables over", "merge that takes a shared table over", "merge that inherits the marks of a table it takes over",
		"rewrite", "rewrite of some tables", "dead rows left out", "dead rows rewritten", "merge under marks", "rewrite under marks",
		"staged", "swept", "job abandoned", "crash behind marks that were written ahead",
		"prepared marks carried over", "marks installed over a staged replacement",
		"sparse file", "relocation", "relocation in several steps", "relocation of what nobody needs any more",
		"relocation under a view", "relocation under a replacement", "relocation under marks",
		"path told again", "path left alone",
		"runs in chunks", "chunk shared by runs",
	} {
		require.Positive(t, total[what], "never happened: %s", what)
	}
}

// TestEachRuleOfTheProtocolIsNeeded switches one rule off at a time. Each must
// then lose data, or break a count, within the seeds given.
func TestEachRuleOfTheProtocolIsNeeded(t *testing.T) {
	for _, rule := range []struct {
		off    string
		name   string
		within int64
	}{
		{"reach", "replay keeps what any fork reaches, though its writer is gone", 50},
		{"lowater", "a consolidated node keeps the lowest LSN of what it swallowed", 200},
		{"frzsync", "the log is synced through the record that froze a node", 50},
		{"ctlsync", "the log is synced through the drop that a transaction contains", 50},
		{"idlock", "a batch names its memtables in the step that gives it its LSN", 50},
		{"applied", "fork records up to the applied LSN are not applied again", 200},
		{"claim", "jobs that would disturb each other exclude each other", 50},
		{"order", "transactions are in the log in the order of the installs", 50},
		{"recdrop", "what lies behind the recovered end of the log is never read", 50},
		{"translate", "marks of nodes above a swap are carried over", 50},
		{"byrow", "marks are carried over by row, not by key", 400},
		{"onetxn", "marks that are carried over are in the transaction of the swap", 200},
		{"pending", "marks that a job has prepared are carried over by the swaps below it", 200},
		{"late", "a node that is installed over a staged swap marks both forms", 200},
		{"sweep", "a vector stays with nodes that still reach its table", 50},
		{"inherit", "a merge goes on marking what its range marks further below", 50},
		{"under", "a delete marks what lies under a tombstone too", 400},
		{"rangewait", "a node with range deletes waits until all below it is in tables", 50},
		{"moved", "a relocation is published before the old file goes", 50},
		{"copypin", "a file that is being copied stays", 1000},
		{"through", "a table is rewritten without rows that are dead on every path only", 200},
	} {
		t.Run(rule.name, func(t *testing.T) {
			for seed := range rule.within {
				if err := newProtocolStore(seed, rule.off).live(); err != nil {
					var own invariant.Violation
					if errors.As(err, &own) {
						continue // the tree noticed by itself; there must be a case in which it does not
					}
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			require.Fail(t, "nothing failed without the rule", "%s: %d seeds", rule.off, rule.within)
		})
	}
}

// live is one run. A broken assertion of the tree counts as a failure too.
func (s *protocolStore) live() (err error) {
	step, steps := 0, stepsPerSeed
	if s.deep {
		steps = stepsPerDeepSeed
	}
	defer func() {
		if p := recover(); p != nil {
			violation, ok := p.(error)
			if !ok {
				panic(p)
			}
			err = violation
		}
		if err != nil {
			err = fmt.Errorf("step %d: %w", step, err)
		}
	}()
	for ; step < steps; step++ {
		s.restForks()
		s.step()
		if err := s.check(); err != nil {
			return err
		}
		if err := s.checkWatch(int64(step)); err != nil {
			return err
		}
		if s.chance(20) {
			if err := s.crash(); err != nil {
				return err
			}
		}
	}
	return s.rest()
}

func (s *protocolStore) step() {
	if s.deep && s.chance(70) {
		s.deepen()
		return
	}
	switch x := s.rand.Intn(100); {
	case x < 34:
		s.write()
	case x < 43:
		s.fork()
	case x < 47:
		s.drop()
	case x < 49:
		s.snapshot()
	case x < 50:
		s.dropSnapshot()
	case x < 52:
		s.reset()
	case x < 54:
		s.rename()
	case x < 57:
		s.freezeOne()
	case x < 59:
		s.pin()
	case x < 60 && len(s.pins) > 0:
		s.unpin()
	case x < 62:
		s.trim()
	case x < 64:
		s.reclaim()
	case x < 66:
		s.writeManifest(s.written + s.rand.Intn(len(s.queue)-s.written+1))
	case x < 67:
		s.publish()
	case x < 70:
		s.tree.Release(1 + s.rand.Intn(4))
	default:
		s.work()
	}
}

// deepen does what makes paths long, and what flushes and merges make of them.
func (s *protocolStore) deepen() {
	switch x := s.rand.Intn(10); {
	case x < 2:
		s.write()
	case x < 4:
		s.freezeOne()
	default:
		s.work()
	}
}

// work takes a job a step further, or begins one.
func (s *protocolStore) work() {
	if len(s.jobs) > 0 && (s.chance(50) || len(s.jobs) == maxJobs) {
		s.advance(s.jobs[s.rand.Intn(len(s.jobs))])
	} else {
		s.begin()
	}
}

// check compares the living store with what it should be.
func (s *protocolStore) check() error {
	if err := s.now.compare(s.tree, s.data); err != nil {
		return err
	}
	var claims []*Claim
	for _, j := range s.jobs {
		claims = append(claims, j.claims...)
	}
	s.sawChunks()
	pins := map[*Run]int{}
	for _, p := range s.pins {
		for _, l := range p.layers {
			if l.run == nil {
				continue
			}
			pins[l.run]++
			if l.run.holders == 0 {
				s.saw("a view outlives its run")
			}
		}
		if got := s.data.read(p.layers); got != p.want {
			return fmt.Errorf("a view reads %v, want %v", got, p.want)
		}
	}
	if err := s.tree.Verify(claims, pins); err != nil {
		return err
	}
	if s.lost {
		return errors.New("a file was unlinked before it was copied")
	}
	for _, tb := range s.tree.Tables() {
		if !s.files[tb.Place.Meta().File] {
			return fmt.Errorf("the file of table %d was unlinked", tb.Meta.ID)
		}
	}
	return nil
}

// crash looks at one image that a crash now might leave, and goes on with it
// sometimes.
func (s *protocolStore) crash() error {
	at := []ids.LSN{s.synced}
	for _, r := range s.log {
		if _, ok := s.past[r.lsn]; ok && r.lsn > s.synced {
			at = append(at, r.lsn)
		}
	}
	last, n := at[s.rand.Intn(len(at))], cut{transactions: s.rand.Intn(s.written + 1)}
	s.saw("crash")
	if last > s.synced {
		s.saw("crash ahead of the synced log")
	}
	if n.transactions > 0 {
		s.saw("crash with unsynced transactions")
	}
	if n.transactions < s.written && s.chance(50) {
		if n.marks = s.rand.Intn(len(s.queue[n.transactions].tx.AddMarks) + 1); n.marks > 0 {
			s.saw("crash behind marks that were written ahead")
		}
	}
	tree, err := s.recover(last, n)
	if err != nil {
		return fmt.Errorf("crash at record %d, synced %d, with %d of %d transactions: %w", last, s.synced, n.transactions, len(s.queue), err)
	}
	if s.chance(12) && (!s.deep || s.chance(20)) {
		return s.reopen(tree, last, n)
	}
	return nil
}

func (s *protocolStore) recover(last ids.LSN, n cut) (*Tree, error) {
	state := s.image(n)
	if err := state.Check(); err != nil {
		return nil, err
	}
	tree, err := s.replay(state, last, s.off)
	if err != nil {
		return nil, err
	}
	if err := tree.Verify(nil, nil); err != nil {
		return nil, err
	}
	for _, tb := range tree.Tables() {
		if !s.files[tb.Place.Meta().File] {
			return nil, fmt.Errorf("the file of table %d was unlinked", tb.Meta.ID)
		}
	}
	return tree, s.past[last].compare(tree, s.data)
}

// reopen goes on with a recovered tree: orphans go, a new manifest is written,
// the log ends where it was accepted to end. A crash on the way, after the
// orphans went and before the new manifest counts, recovers the same.
func (s *protocolStore) reopen(tree *Tree, last ids.LSN, n cut) error {
	s.saw("reopen")
	old := s.image(n)
	s.keepFiles(old)
	if _, err := s.recover(last, n); err != nil {
		return fmt.Errorf("crash while reopening: %w", err)
	}
	if s.off != "recdrop" {
		s.log = slices.DeleteFunc(s.log, func(r record) bool { return r.lsn > last })
	}
	maps.DeleteFunc(s.past, func(lsn ids.LSN, _ moment) bool { return lsn > last })
	s.tree, s.now = tree, s.past[last].clone()
	s.jobs, s.pins, s.zombies, s.late, s.behind = nil, nil, nil, nil, nil
	s.newest, s.synced, s.trimmed = last, last, old.Trimmed
	s.base, s.queue, s.written = tree.Recovered(), nil, 0
	s.base.Forks = s.base.Forks.Clone()
	s.publish()
	s.publishLate()
	s.syncManifest()
	s.keepFiles(s.base)
	return nil
}

// keepFiles unlinks the table files that the manifest does not name.
func (s *protocolStore) keepFiles(state *manifest.State) {
	named := map[ids.FileNum]bool{}
	for _, m := range state.Tables {
		named[m.File] = true
	}
	maps.DeleteFunc(s.files, func(f ids.FileNum, _ bool) bool {
		if !named[f] {
			s.saw("orphan")
		}
		return !named[f]
	})
}

// rest lets everything end and then expects nothing to be left over: files,
// nodes and manifest are exactly what the forks and snapshots reach.
func (s *protocolStore) rest() error {
	for len(s.jobs) > 0 {
		s.advance(s.jobs[0])
	}
	if s.off == "order" {
		return nil // files wait for a transaction that never comes
	}
	for len(s.pins) > 0 {
		s.unpin()
	}
	for s.tree.Release(3) {
	}
	s.reclaim()
	if err := s.check(); err != nil {
		return err
	}
	if s.tree.Owes() {
		return fmt.Errorf("at rest something is still owed")
	}
	reached := map[ids.NodeID]bool{}
	tables := map[ids.TableID]bool{}
	files := map[ids.FileNum]bool{}
	walk := func(top *Node) {
		for n := range Path(top) {
			reached[n.ID] = true
			if n.Run != nil {
				for _, tb := range n.Run.Tables {
					tables[tb.Meta.ID], files[tb.Place.Meta().File] = true, true
				}
			}
		}
	}
	for _, f := range s.tree.Forks() {
		walk(f.Top)
	}
	for _, n := range s.tree.Snapshots() {
		walk(n.Node)
	}
	for id := range s.base.Nodes {
		if !reached[id] {
			return fmt.Errorf("at rest the manifest keeps node %d", id)
		}
	}
	if len(reached) != s.tree.NodeCount() || len(tables) != len(s.base.Tables) || !maps.Equal(files, s.files) {
		return fmt.Errorf("at rest: %d nodes, %d reached; %d tables in the manifest, %d reached; files %v, reached %v",
			s.tree.NodeCount(), len(reached), len(s.base.Tables), len(tables), s.files, files)
	}
	chunks := 0
	for _, list := range s.tree.chunks {
		chunks += len(list)
	}
	if len(s.base.Chunks) != chunks {
		return fmt.Errorf("at rest: %d chunks in the manifest, %d in the tree", len(s.base.Chunks), chunks)
	}
	return s.marksAtRest()
}

func (s *protocolStore) sawChunks() {
	for _, list := range s.tree.chunks {
		for _, c := range list {
			if s.saw("runs in chunks"); c.alive > 1 {
				s.saw("chunk shared by runs")
			}
		}
	}
}

// marksAtRest tells whether there is a vector that says nothing.
func (s *protocolStore) marksAtRest() error {
	if len(s.base.Marks) != s.tree.MarkCount() {
		return fmt.Errorf("at rest: %d vectors in the manifest, %d in the tree", len(s.base.Marks), s.tree.MarkCount())
	}
	for _, n := range s.tree.Nodes() {
		for _, m := range n.Marks() {
			if v := s.base.Marks[manifest.MarksKey{Node: n.ID, Table: m.Table.Meta.ID}]; v == nil || !v.Equal(m.Vector) {
				return fmt.Errorf("at rest: the manifest does not know what node %d marks in table %d", n.ID, m.Table.Meta.ID)
			}
			if !n.reaches(m.Table) {
				return fmt.Errorf("at rest node %d marks rows of table %d, which is not on its path", n.ID, m.Table.Meta.ID)
			}
		}
	}
	return nil
}
