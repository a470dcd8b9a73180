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
	pins := map[*forktree.Run]int{}
	for v := range s.mu.views {
		for _, l := range v.layers {
			if l.run != nil {
				pins[l.run]++
			}
		}
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

// verifyMemoryLocked adds up what writers are held back by: too little makes the store
// outgrow its budget, and too much makes writers stall for ever. The tree has
// verified its own part.
func (s *Store) verifyMemoryLocked() error {
	var active int64
	for _, f := range s.mu.tree.Forks() {
		if f.Mem != nil {
			active += f.Mem.Bytes()
		}
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
