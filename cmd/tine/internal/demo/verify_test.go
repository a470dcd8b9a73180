package demo

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// newDemo is a demo with two agents whose store holds what it should.
func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{ctx: context.Background(), opts: Options{Agents: 2}, dir: t.TempDir(), report: &Report{}, base: newBase()}
	require.NoError(t, d.open())
	t.Cleanup(func() { _ = d.store.Close() })
	fork, err := d.store.Fork(engine.MainFork)
	require.NoError(t, err)
	for i := range 60 {
		key, content := fmt.Appendf(nil, "file%02d", i), fmt.Appendf(nil, "content %d", i)
		value := tree.NewFile(0o644, 0, content).Append(nil, content)
		require.NoError(t, fork.Set(key, value, engine.NoSync))
		d.base.add(key, value)
	}
	d.base.freeze()
	d.main = &agent{name: engine.MainFork, fork: fork, want: newExpectation(d.base)}
	require.NoError(t, d.forkAll())
	require.NoError(t, d.changeAll())
	return d
}

func TestStoreThatIsRightPasses(t *testing.T) {
	d := newDemo(t)
	require.NoError(t, d.verifyAll())
	require.Equal(t, 4, d.report.ForksVerified, "main, two agents, and a fork of the first")
	require.Equal(t, 4, d.report.FullScans)
}

// What the demo claims is worth nothing unless it would notice. Each case makes a
// fork wrong in one key that the fork should have left alone.
func TestEveryWayToBeWrongIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, d *demo)
		byScan bool // seen by a full scan; else also by the touched keys
	}{
		{"a change of a neighbour shows through", func(t *testing.T, d *demo) {
			for key, s := range d.agents[0].want.changes {
				if _, both := d.agents[1].want.changes[key]; s.present && !both {
					value, err := d.agents[0].fork.Get([]byte(key))
					require.NoError(t, err)
					require.NoError(t, d.agents[1].fork.Set([]byte(key), value))
					return
				}
			}
			t.Fatal("the agents changed the same keys")
		}, false},
		{"an own change is lost", func(t *testing.T, d *demo) {
			for key, s := range d.agents[0].want.changes {
				if s.present {
					require.NoError(t, d.agents[0].fork.Delete([]byte(key)))
					return
				}
			}
		}, false},
		{"a deleted file is back", func(t *testing.T, d *demo) {
			for key, s := range d.agents[0].want.changes {
				if !s.present {
					require.NoError(t, d.agents[0].fork.Set([]byte(key), []byte("back")))
					return
				}
			}
		}, false},
		{"a key too many that nobody touched", func(t *testing.T, d *demo) {
			require.NoError(t, d.agents[1].fork.Set([]byte("stray"), []byte("x")))
		}, true},
		{"a key of main that changed later", func(t *testing.T, d *demo) {
			require.NoError(t, d.main.fork.Set([]byte("notes/main-0.md"), []byte("x")))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDemo(t)
			c.spoil(t, d)
			var failed *VerifyError
			touched := &verifier{}
			require.NoError(t, d.verifyTouched(touched, d.everyone()))
			if !c.byScan {
				require.ErrorAs(t, touched.err(), &failed)
			}
			scans := &verifier{}
			_, err := d.verifyScans(scans, d.everyone())
			require.NoError(t, err)
			require.ErrorAs(t, scans.err(), &failed)
			require.ErrorAs(t, d.verifyAll(), &failed)
		})
	}
}

func TestBrokenPromisesAreNoticed(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, left, right *engine.Fork)
		want  int
	}{
		{"none is broken", func(*testing.T, *engine.Fork, *engine.Fork) {}, 0},
		{"a write that was acknowledged is in neither fork", func(t *testing.T, left, right *engine.Fork) {
			require.NoError(t, left.Delete([]byte("crash/0/1")))
			require.NoError(t, right.Delete([]byte("crash/0/1")))
		}, 1},
		{"a batch that is in one fork only", func(t *testing.T, left, _ *engine.Fork) {
			require.NoError(t, left.Set([]byte("crash/0/9"), crashValue("crash/0/9")))
		}, 1},
		{"a value that is damaged", func(t *testing.T, left, _ *engine.Fork) {
			require.NoError(t, left.Set([]byte("crash/0/1"), []byte("half")))
		}, 1},
		{"a fork that was acknowledged is lost", func(t *testing.T, left, _ *engine.Fork) {
			require.NoError(t, left.Rename("elsewhere"))
		}, 3}, // the fork, and both puts are in one of two forks: noticed as promise and as half a batch
	} {
		t.Run(c.name, func(t *testing.T) {
			store, err := engine.Open(t.TempDir(), nil)
			require.NoError(t, err)
			defer store.Close()
			parent, err := store.Fork(engine.MainFork)
			require.NoError(t, err)
			forks := make([]*engine.Fork, 2)
			for i, name := range []string{leftFork, rightFork} {
				forks[i], err = parent.Fork(name)
				require.NoError(t, err)
				require.NoError(t, forks[i].Set([]byte("crash/0/1"), crashValue("crash/0/1")))
			}
			c.spoil(t, forks[0], forks[1])
			d := &demo{store: store}
			v := &verifier{}
			r, err := d.verifyAcks(v, &acks{puts: []string{"crash/0/1"}, forks: []string{leftFork, rightFork}})
			require.NoError(t, err)
			require.Equal(t, c.want, v.count, "%v", v.differences)
			require.Equal(t, 1, r.Acknowledged)
		})
	}
}

func TestGeneratedSourceIsTheSameEveryTime(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	require.NoError(t, generate(one, 20))
	require.NoError(t, generate(two, 20))
	sum := func(dir string) uint64 {
		store, err := engine.Open(t.TempDir(), nil)
		require.NoError(t, err)
		defer store.Close()
		fork, err := store.Fork(engine.MainFork)
		require.NoError(t, err)
		var all uint64
		_, err = tree.Import(context.Background(), tree.Into(store, fork), dir, tree.ImportOptions{OnPut: func(key, value []byte) {
			e, _, err := tree.Parse(value)
			require.NoError(t, err)
			all = all*31 + e.Hash + uint64(len(key))
		}})
		require.NoError(t, err)
		return all
	}
	require.Equal(t, sum(one), sum(two))
}
