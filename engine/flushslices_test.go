package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/schedule"
)

// The tables of a flush share a file, and its nodes are installed some at a time: one
// at a time here. When the first of them is gone before the second is installed, no
// table of the file is in use, and it must stay.
func TestTheFileOfAFlushStaysUntilItsLastNodeIsInstalled(t *testing.T) {
	for name, also := range map[string]func(m *marking){
		"others live on":     func(*marking) {},
		"the others go too":  func(m *marking) { m.drop("two"); m.drop("three") },
		"the last goes then": func(m *marking) { m.drop("three") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarking(t, 1<<20)
			m.layer(MainFork, "abc")
			for _, f := range []string{"one", "two", "three"} {
				m.makeFork(MainFork, f)
				m.set(f, "d")
			}
			m.at(schedule.FlushPlaced, func() {
				require.Nil(t, m.top("one").Mem, "the first is installed")
				require.NotNil(t, m.top("two").Mem, "the second is not")
				m.drop("one")
				require.NoError(t, m.s.afterSwap())
				require.NoError(t, m.s.Verify())
				also(m)
				require.NoError(t, m.s.afterSwap())
			})
			m.flush()
			m.sound()
		})
	}
}
