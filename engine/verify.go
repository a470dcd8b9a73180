package engine

import (
	"fmt"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
)

// Verify recomputes the reference counts of every node, run, table and file, and the
// memory of all memtables and nodes, and compares them with what is kept; and it
// compares the table files on disk with those that something holds. It must be called while no Flush, Compact or
// background job is writing files, that is, after Settle or with Manual. It costs
// O(everything in the tree) and reads no table.
func (s *Store) Verify() error {
	if s.closed.Load() {
		return ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	claims := make([]*forktree.Claim, 0, len(s.mu.claims))
	for c := range s.mu.claims {
		claims = append(claims, c)
	}
	pins, err := s.verifyViewsLocked()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := s.mu.tree.Verify(claims, pins); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := s.verifyMemoryLocked(); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if len(claims) > 0 {
		return nil // a job may be writing files
	}
	return s.verifyFilesLocked()
}

// verifyViewsLocked counts the references on flats again, and gives the pins that
// views and flats have on runs.
func (s *Store) verifyViewsLocked() (pins map[*forktree.Run]int, err error) {
	pins = map[*forktree.Run]int{}
	refs := map[*flat]int{}
	pin := func(layers []layer) {
		for _, l := range layers {
			if l.run != nil {
				pins[l.run]++
			}
		}
	}
	for v := range s.mu.views {
		pin(v.own)
		for f := range v.flat.under() {
			if refs[f]++; refs[f] > 1 {
				break // those below are counted
			}
			pin(f.layers)
		}
	}
	var sieveBytes, weaveBytes int64
	for f, n := range refs {
		if f.refs != n {
			return nil, fmt.Errorf("the flat at node %d counts %d references, there are %d", f.node.ID, f.refs, n)
		}
		if sv := f.sieve.Load(); sv != nil {
			sieveBytes += sv.keys.Bytes()
		}
		if w := f.weave.Load(); w != nil {
			weaveBytes += w.bytes()
		}
	}
	if sieveBytes != s.mu.sieveBytes {
		return nil, fmt.Errorf("sieves count %d bytes, they take %d", s.mu.sieveBytes, sieveBytes)
	}
	if weaveBytes != s.mu.weaveBytes {
		return nil, fmt.Errorf("weaves count %d bytes, they take %d", s.mu.weaveBytes, weaveBytes)
	}
	for n, f := range s.mu.flats {
		if refs[f] == 0 || f.node != n {
			return nil, fmt.Errorf("the flat at node %d is kept although nothing uses it", f.node.ID)
		}
	}
	return pins, nil
}

// verifyMemoryLocked adds up what writers are held back by: too little makes the store
// outgrow its budget, and too much makes writers stall for ever. The tree has
// verified its own part.
func (s *Store) verifyMemoryLocked() error {
	var active int64
	mems := 0
	for _, f := range s.mu.tree.ActiveForks() {
		if f.Mem != nil {
			active += f.Mem.Bytes()
			mems++
		}
	}
	if mems != s.mu.activeMems {
		return fmt.Errorf("memory: counts %d memtables of forks, there are %d", s.mu.activeMems, mems)
	}
	if active != s.mu.activeBytes {
		return fmt.Errorf("memory: counts %d bytes in memtables of forks, there are %d", s.mu.activeBytes, active)
	}
	if counted, there := s.memoryBytes.Load(), active+s.mu.tree.MemoryBytes(); counted != there {
		return fmt.Errorf("memory: writers are held back by %d bytes, there are %d", counted, there)
	}
	return nil
}

func (s *Store) verifyFilesLocked() error {
	zombies := map[ids.FileNum]bool{}
	for _, z := range s.mu.zombies {
		zombies[z.num] = true
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	found := 0
	for _, name := range names {
		kind, num := ids.ParseFileName(name)
		if kind != ids.FileTable {
			continue
		}
		switch {
		case s.mu.tree.HasFile(num):
			found++
		case !zombies[num]:
			return fmt.Errorf("verify: file %s is on disk but nothing needs it", name)
		}
	}
	if want := s.mu.tree.FileCount(); found != want {
		return fmt.Errorf("verify: %d table files are needed, %d of them are on disk", want, found)
	}
	return nil
}
