package limits

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// ForksAtOnce makes 100 000 forks of one fork at one cut, as many by one record as may
// be, in little memory; writes to their parent and to some of them; reopens; and drops
// them again, as many by one record as may be, in each of the ways there are.
func ForksAtOnce(dir string, counts *fuzz.Counts) error {
	if err := limited(); err != nil {
		return err
	}
	m := &many{counts: counts, dir: dir, memory: newMemory(), nodes: 4} // main is written three times
	c := &crowd{many: m}
	return m.live(c.make, c.readAll, c.dropAll)
}

// crowd is many forks of one cut. They are called "agent-", and every writtenEvery-th
// has a row of its own.
type crowd struct{ *many }

func (c *crowd) make() error {
	main, err := c.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	// The cut has unflushed writes. What the first call freezes is the others' too.
	if err := main.Set([]byte("cut"), []byte("here"), engine.NoSync); err != nil {
		return err
	}
	names := make([]string, c.forks())
	for i := range names {
		names[i] = forkName(i)
	}
	before := c.store.Stats()
	for some := range slices.Chunk(names, engine.MaxForkMany) {
		if _, err := main.ForkMany(some, sync(len(some))...); err != nil {
			return fmt.Errorf("%s and %d others: %w", some[0], len(some)-1, err)
		}
		if err := c.memory.look(); err != nil {
			return err
		}
	}
	if st := c.store.Stats(); st.Nodes-before.Nodes > 1 || st.LastLSN-before.LastLSN > uint64(len(names)/engine.MaxForkMany+8) {
		return fmt.Errorf("%d forks of one cut took %d nodes and %d records", len(names), st.Nodes-before.Nodes, st.LastLSN-before.LastLSN)
	}
	if _, err := main.ForkMany([]string{"new", forkName(7)}); !errors.Is(err, engine.ErrForkExists) {
		return fmt.Errorf("forks under a name that is taken: %w", err)
	}
	if err := main.Set([]byte("cut"), []byte("gone on"), engine.NoSync); err != nil {
		return err
	}
	for i := 0; i < len(names); i += writtenEvery {
		f, err := c.store.Fork(names[i])
		if err != nil {
			return err
		}
		if err := f.Set([]byte("own"), fmt.Appendf(nil, "%d", i), engine.NoSync); err != nil {
			return err
		}
	}
	c.counts.Add("forks made at once", len(names))
	return c.store.Settle()
}

// readAll reads through every fork what the cut had, and what it has written.
func (c *crowd) readAll() error {
	if st := c.store.Stats(); st.Forks != c.forks()+1 {
		return fmt.Errorf("the store counts %d forks, want %d", st.Forks, c.forks()+1)
	}
	for i := range c.forks() {
		f, err := c.store.Fork(forkName(i))
		if err != nil {
			return err
		}
		if got, err := f.Get([]byte("cut")); err != nil || string(got) != "here" {
			return fmt.Errorf("fork %d reads %q where the cut had %q: %w", i, got, "here", err)
		}
		got, err := f.Get([]byte("own"))
		if i%writtenEvery == 0 {
			if err != nil || string(got) != fmt.Sprint(i) {
				return fmt.Errorf("fork %d, its own row: got %q, %w", i, got, err)
			}
		} else if !errors.Is(err, engine.ErrNotFound) {
			return fmt.Errorf("fork %d reads another's row %q, %w", i, got, err)
		}
		if i%resampledEvery == 0 {
			if err := c.count(f, baseRows+1, i%writtenEvery == 0); err != nil {
				return fmt.Errorf("fork %d: %w", i, err)
			}
			if err := c.memory.look(); err != nil {
				return err
			}
		}
	}
	c.counts.Add("forks read", c.forks())
	return nil
}

// dropAll drops all forks: ten thousand by the prefix of their names, many as a list, and
// what is left with a fork that the others are made of.
func (c *crowd) dropAll() error {
	if part() == 1 { // else they are not too many
		if _, err := c.store.DropPrefix("agent-"); !errors.Is(err, engine.ErrLimit) {
			return fmt.Errorf("a drop of all forks by one record: %w", err)
		}
	}
	dropped, err := c.store.DropPrefix("agent-00", sync(1)...)
	if err != nil || dropped != min(10_000, c.forks()) {
		return fmt.Errorf("%d forks were dropped by a prefix: %w", dropped, err)
	}
	var rest []*engine.Fork
	for i := dropped; i < c.forks(); i++ {
		f, err := c.store.Fork(forkName(i))
		if err != nil {
			return err
		}
		rest = append(rest, f)
	}
	for some := range slices.Chunk(rest, engine.MaxDropMany) {
		if err := c.store.DropForks(some, sync(1)...); err != nil {
			return err
		}
		if err := c.memory.look(); err != nil {
			return err
		}
	}
	main, err := c.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	top, err := main.Fork("top")
	if err != nil {
		return err
	}
	last := top
	for level := range 8 { // a deep subtree, and each level a wide one
		names := make([]string, engine.MaxForkMany)
		for i := range names {
			names[i] = fmt.Sprintf("sub-%d-%d", level, i)
		}
		kids, err := last.ForkMany(names, engine.NoSync)
		if err != nil {
			return err
		}
		last = kids[len(kids)-1]
		if err := last.Set([]byte("level"), fmt.Appendf(nil, "%d", level), engine.NoSync); err != nil {
			return err
		}
	}
	n, err := top.DropSubtree()
	if want := 1 + 8*engine.MaxForkMany; err != nil || n != want {
		return fmt.Errorf("a subtree of %d forks was dropped, want %d: %w", n, want, err)
	}
	if err := main.Delete([]byte("cut")); err != nil {
		return err
	}
	c.counts.Add("forks dropped at once", dropped+len(rest)+n)
	return nil
}
