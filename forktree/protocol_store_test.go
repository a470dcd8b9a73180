package forktree

import (
	"math/rand"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
)

const (
	manyForks    = 8
	fewForks     = 3
	maxSnapshots = 3
	maxJobs      = 5
	maxPins      = 3
)

// protocolStore is the smallest store that keeps the protocol: a real Tree and
// real manifest states over a log and tables that are plain values. It can crash
// at any step. Everything follows from the seed.
type protocolStore struct {
	*disk
	rand *rand.Rand
	off  string // the rule that is switched off, "" for none
	deep bool   // few forks grow long paths, and much is done about them

	maxForks int
	tree     *Tree
	data     shelf

	lastLSN ids.LSN // the highest ever given out
	newest  ids.LSN // of the log
	nextID  uint64
	value   uint32
	trimmed ids.LSN
	now     moment
	past    map[ids.LSN]moment

	jobs    []*job
	pins    []*pin
	zombies []zombie
	late    *queued // rule order off: a transaction that waits for a newer one

	delayed *Node            // rule onetxn off: the swapped node of the transaction that comes
	behind  []manifest.Marks // rule onetxn off: marks that are left for the next transaction

	lost    bool // a file was gone when somebody wanted to copy it
	watcher *watcher

	seen map[string]int
}

// zombie is a file that goes when a manifest transaction is durable.
type zombie struct {
	file ids.FileNum
	at   int
}

// pin is a view: the layers of a path, and what a reader must see through them.
type pin struct {
	layers []layer
	want   rows
}

func newProtocolStore(seed int64, off string) *protocolStore {
	s := &protocolStore{
		rand: rand.New(rand.NewSource(seed)), off: off, deep: seed%2 == 1, tree: New(), data: shelf{}, nextID: 1,
		disk: &disk{base: manifest.NewState(), files: map[ids.FileNum]bool{}},
		now:  moment{forks: map[ids.ForkID]held{}, snaps: map[ids.SnapshotID]held{}},
		past: map[ids.LSN]moment{}, seen: map[string]int{},
	}
	if s.tree.cuts = defaultCuts; seed%4 >= 2 {
		s.tree.cuts = cuts{whole: 1, mean: 2, max: 2} // runs here have few tables
	}
	s.disk.cuts = s.tree.cuts
	f := &Fork{ID: ids.ForkID(s.id()), Name: "main", MemtableID: ids.NodeID(s.id())}
	if s.maxForks = manyForks; s.deep {
		s.maxForks = fewForks
	}
	s.tree.AddFork(f)
	s.now.forks[f.ID] = held{name: f.Name}
	s.past[0] = s.now.clone()
	s.publish()
	s.syncManifest()
	return s
}

func (s *protocolStore) id() uint64 { s.nextID++; return s.nextID - 1 }

func (s *protocolStore) chance(percent int) bool { return s.rand.Intn(100) < percent }

func (s *protocolStore) saw(what string) { s.seen[what]++ }

// place gives the record its LSN and its place, and notes the moment.
func (s *protocolStore) place(r record) {
	s.lastLSN++
	r.lsn, s.newest = s.lastLSN, s.lastLSN
	s.log = append(s.log, r)
	s.past[r.lsn] = s.now.clone()
	if s.chance(25) {
		s.synced = r.lsn
	}
}

// freeze turns the fork's memtable into a node; the next record says so.
func (s *protocolStore) freeze(f *Fork) freezing {
	if f.Mem == nil {
		return freezing{}
	}
	fz := freezing{fork: f.ID, node: f.MemtableID, older: nodeID(f.Top), next: ids.NodeID(s.id())}
	s.tree.Freeze(f, s.lastLSN+1, fz.next)
	return fz
}

func (s *protocolStore) anyFork() *Fork {
	all := s.tree.Forks()
	return s.tree.ForkByID(all[s.rand.Intn(len(all))].ID)
}

// restForks makes some forks idle, as the engine does with those that nobody uses.
func (s *protocolStore) restForks() {
	for _, f := range slices.Clone(s.tree.ActiveForks()) {
		if f.Mem == nil && s.chance(50) {
			s.tree.Rest(f)
			s.saw("idle fork")
		}
	}
}

func (s *protocolStore) anySnapshot() *Snapshot {
	all := s.tree.Snapshots()
	if len(all) == 0 {
		return nil
	}
	return all[s.rand.Intn(len(all))]
}

// freeName picks a name out of few, so that names are often used again.
func (s *protocolStore) freeName(taken func(string) bool) string {
	for {
		if name := string(rune('a' + s.rand.Intn(manyForks+1))); !taken(name) {
			return name
		}
	}
}

func (s *protocolStore) isFork(name string) bool     { return s.tree.HasFork(name) }
func (s *protocolStore) isSnapshot(name string) bool { return s.tree.SnapshotByName(name) != nil }

func (s *protocolStore) write() {
	forks := s.tree.Forks()
	s.rand.Shuffle(len(forks), func(i, j int) { forks[i], forks[j] = forks[j], forks[i] })
	forks = forks[:min(len(forks), []int{1, 1, 1, 2, 3}[s.rand.Intn(5)])]
	parts := make([]part, len(forks))
	for i, f := range forks {
		f = s.tree.ForkByID(f.ID)
		forks[i] = f
		parts[i] = part{fork: f.ID, memtable: f.MemtableID}
		for range []int{1, 1, 4}[s.rand.Intn(3)] {
			s.writeTo(&parts[i].mem)
		}
	}
	if s.off == "idlock" && s.chance(30) {
		s.fork() // slips in between naming the memtables and taking the LSN
	}
	for i, f := range forks {
		if f.Mem == nil {
			f.Mem, f.Low = new(memory), s.lastLSN+1
		}
		all := parts[i].mem
		all.over(f.Mem.(*memory))
		*f.Mem.(*memory) = all

		h := s.now.forks[f.ID]
		see := parts[i].mem.layer()
		see.under(&h.rows)
		h.rows = see.read()
		s.now.forks[f.ID] = h
	}
	s.place(record{kind: recBatch, parts: parts})
}

// writeTo does one operation: a key is set or deleted, or a range is deleted.
func (s *protocolStore) writeTo(m *memory) {
	k := s.rand.Intn(keyCount)
	switch x := s.rand.Intn(100); {
	case x < 50:
		s.value++
		m.rows[k] = s.value
	case x < 96:
		m.rows[k] = tombstone
	default:
		for to := k + 1 + s.rand.Intn(keyCount/2); k < min(to, keyCount); k++ {
			m.cover(k)
		}
	}
}

// source picks what a fork or a reset begins from.
func (s *protocolStore) source() (top *Node, fz freezing, content rows) {
	if n := s.anySnapshot(); n != nil && s.chance(30) {
		return n.Node, fz, s.now.snaps[n.ID].rows
	}
	f := s.anyFork()
	fz = s.freeze(f)
	return f.Top, fz, s.now.forks[f.ID].rows
}

func (s *protocolStore) fork() {
	if s.tree.ForkCount() >= s.maxForks {
		return
	}
	top, fz, content := s.source()
	f := &Fork{ID: ids.ForkID(s.id()), Name: s.freeName(s.isFork), Top: top, MemtableID: ids.NodeID(s.id()), CreatedLSN: s.lastLSN + 1}
	if s.chance(50) {
		s.tree.AddFork(f)
	} else {
		s.tree.AddIdleFork(manifest.Fork{ID: f.ID, Name: f.Name, Top: nodeID(top), Memtable: f.MemtableID, CreatedLSN: f.CreatedLSN})
	}
	s.now.forks[f.ID] = held{name: f.Name, rows: content}
	s.place(record{kind: recFork, frozen: fz, fork: f.ID, name: f.Name, top: nodeID(top), memtable: f.MemtableID})
}

func (s *protocolStore) drop() {
	if s.tree.ForkCount() == 1 {
		return
	}
	f := s.anyFork()
	s.tree.DropFork(f)
	delete(s.now.forks, f.ID)
	s.place(record{kind: recDrop, fork: f.ID, name: f.Name})
}

func (s *protocolStore) snapshot() {
	if s.tree.SnapshotCount() >= maxSnapshots {
		return
	}
	f := s.anyFork()
	fz := s.freeze(f)
	n := &Snapshot{ID: ids.SnapshotID(s.id()), Name: s.freeName(s.isSnapshot), Fork: f.ID, Node: f.Top}
	s.tree.AddSnapshot(n)
	s.now.snaps[n.ID] = held{name: n.Name, rows: s.now.forks[f.ID].rows}
	s.place(record{kind: recSnapshot, frozen: fz, snap: n.ID, name: n.Name, top: nodeID(n.Node)})
}

func (s *protocolStore) dropSnapshot() {
	if n := s.anySnapshot(); n != nil {
		s.tree.DropSnapshot(n)
		delete(s.now.snaps, n.ID)
		s.place(record{kind: recDropSnapshot, snap: n.ID})
	}
}

func (s *protocolStore) reset() {
	f := s.anyFork()
	top, fz, content := s.source()
	s.tree.ResetFork(f, top, ids.NodeID(s.id()))
	s.now.forks[f.ID] = held{name: f.Name, rows: content}
	s.place(record{kind: recReset, frozen: fz, fork: f.ID, top: nodeID(top), memtable: f.MemtableID})
}

func (s *protocolStore) rename() {
	f := s.anyFork()
	s.tree.RenameFork(f, s.freeName(s.isFork))
	s.now.forks[f.ID] = held{name: f.Name, rows: s.now.forks[f.ID].rows}
	s.place(record{kind: recRename, fork: f.ID, name: f.Name})
}

func (s *protocolStore) freezeOne() {
	if fz := s.freeze(s.anyFork()); fz.node != 0 {
		s.place(record{kind: recFreeze, frozen: fz})
	}
}

func (s *protocolStore) pin() {
	if len(s.pins) == maxPins {
		s.unpin()
	}
	p := &pin{layers: layers(s.anyFork().Top)}
	for _, l := range p.layers {
		if l.run != nil {
			s.tree.Pin(l.run)
		}
	}
	p.want = s.data.read(p.layers)
	s.pins = append(s.pins, p)
}

func (s *protocolStore) unpin() {
	p := s.pins[0]
	s.pins = s.pins[1:]
	for _, l := range p.layers {
		if l.run != nil {
			s.tree.Unpin(l.run)
		}
	}
}

// publish takes what the manifest is owed and gives it its place.
func (s *protocolStore) publish() (at int) {
	q := queued{tx: s.tree.TakeTransaction(), need: s.need()}
	q.tx.Counters = &manifest.Counters{Applied: s.newest, Trimmed: s.trimmed, NextID: s.nextID, NextLSN: s.lastLSN + 1}
	s.leaveBehind(q.tx)
	files, _ := s.tree.TakeObsolete()
	switch {
	case s.off == "order" && s.late == nil && s.chance(30):
		s.late = &q
		at = s.based + len(s.queue) + 2
	default:
		s.queue = append(s.queue, q)
		at = s.based + len(s.queue)
		s.publishLate()
	}
	for _, f := range files {
		s.zombies = append(s.zombies, zombie{file: f, at: at})
	}
	return at
}

func (s *protocolStore) publishLate() {
	if s.late != nil {
		s.queue = append(s.queue, *s.late)
		s.late = nil
	}
}

// need is how far the log must be durable before a transaction is written:
// through the newest record, unless a rule is off that is about some kinds.
func (s *protocolStore) need() ids.LSN {
	for _, r := range slices.Backward(s.log) {
		if r.kind.ends() && s.off == "ctlsync" || !r.kind.ends() && r.kind != recBatch && s.off == "frzsync" {
			continue
		}
		return r.lsn
	}
	return 0
}

// reclaim unlinks what the durable manifest has let go of.
func (s *protocolStore) reclaim() {
	if s.tree.Owes() {
		s.publish()
	}
	s.publishLate()
	s.syncManifest()
	s.zombies = slices.DeleteFunc(s.zombies, func(z zombie) bool {
		if z.at > s.based {
			return false
		}
		s.saw("unlink")
		delete(s.files, z.file)
		return true
	})
}

// trim cuts the log where every record is in tables or reached by nothing.
func (s *protocolStore) trim() {
	low := s.tree.LowLSN(s.newest+1, nil)
	if low <= s.trimmed {
		return
	}
	s.trimmed = low
	s.publish()
	s.publishLate()
	s.syncManifest()
	before := len(s.log)
	s.log = slices.DeleteFunc(s.log, func(r record) bool { return r.lsn < low })
	if len(s.log) < before {
		s.saw("trim")
	}
}
