package limits

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// book is what a store must hold: the rows of each fork, by name. It belongs to
// one goroutine.
type book map[string]model.Contents

func (b book) names() []string {
	names := make([]string, 0, len(b))
	for name := range b {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// compare reads every fork whole.
func (b book) compare(s *engine.Store) error {
	if st := s.Stats(); st.Forks != len(b) {
		return fmt.Errorf("the store counts %d forks, want %d", st.Forks, len(b))
	}
	for _, name := range b.names() {
		if err := b.compareFork(s, name); err != nil {
			return err
		}
	}
	return nil
}

func (b book) compareFork(s *engine.Store, name string) error {
	f, err := s.Fork(name)
	if err != nil {
		return err
	}
	want, i := b[name], 0
	rows, failed := f.Scan(engine.Range{})
	for key, value := range rows {
		if i >= want.Len() {
			return fmt.Errorf("fork %s: row %q after the last", name, key)
		}
		if k, v := want.At(i); string(key) != k || string(value) != v {
			return fmt.Errorf("fork %s: row %d is %.40q = %.80q, want %.40q = %.80q", name, i, key, value, k, v)
		}
		i++
	}
	if err := failed(); err != nil {
		return fmt.Errorf("fork %s: after %d rows: %w", name, i, err)
	}
	if i != want.Len() {
		return fmt.Errorf("fork %s: %d rows, want %d", name, i, want.Len())
	}
	return nil
}
