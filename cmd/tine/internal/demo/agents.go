package demo

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// agent is one fork and what it should hold.
type agent struct {
	name string
	fork *engine.Fork
	want *expectation
	// kin are the forks whose changes this one must not see: the agents before
	// and after it, its parent or child, and main.
	kin []*agent
}

// What an agent does in one round.
const (
	editsPerRound   = 4
	addsPerRound    = 3
	deletesPerRound = 3
)

// How many agents work at a time, and every how many of them one forks again.
const (
	agentsAtOnce   = 16
	forkAgainEvery = 20
)

// forkAll forks main once for each agent. The first few are each made durable by
// themselves, the others together at the end: both figures are printed, as they
// promise different things.
func (d *demo) forkAll() error {
	syncedForks := min(100, d.opts.Agents/2)
	var synced, unsynced []time.Duration
	started := time.Now()
	for i := 1; i <= d.opts.Agents; i++ {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		var opts []engine.WriteOption
		if i > syncedForks {
			opts = append(opts, engine.NoSync)
		}
		name := fmt.Sprintf("agent-%04d", i)
		begin := time.Now()
		fork, err := d.main.fork.Fork(name, opts...)
		took := time.Since(begin)
		if err != nil {
			return err
		}
		if i > syncedForks {
			unsynced = append(unsynced, took)
		} else {
			synced = append(synced, took)
		}
		d.agents = append(d.agents, &agent{name: name, fork: fork, want: d.main.want.fork()})
	}
	if err := d.store.Sync(); err != nil {
		return err
	}
	total := time.Since(started)
	r := d.report
	r.ForkSynced, r.ForkUnsynced = latenciesOf(synced), latenciesOf(unsynced)
	d.line("agent-0001 to agent-%04d: %.0f ms in all; no file was copied, none written but the log", d.opts.Agents, float64(total.Milliseconds()))
	d.line("one fork, durable by itself (%d of them):      %v", len(synced), r.ForkSynced)
	d.line("one fork, survives a killed process (%d):      %v; one sync for all at the end", len(unsynced), r.ForkUnsynced)
	for i, a := range d.agents {
		before := d.agents[(i+len(d.agents)-1)%len(d.agents)]
		after := d.agents[(i+1)%len(d.agents)]
		a.kin = append(a.kin, d.main, before, after)
	}
	d.main.kin = append(d.main.kin, d.agents[0], d.agents[len(d.agents)-1])
	return nil
}

// changeAll lets every agent work, several at a time, and main too.
func (d *demo) changeAll() error {
	first := d.agents
	again := make([]*agent, len(first))
	var done counts
	started := time.Now()
	g, ctx := errgroup.WithContext(d.ctx)
	g.SetLimit(agentsAtOnce)
	for i, a := range first {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			if err := a.work(d.store, rng, "first", &done); err != nil {
				return err
			}
			if i%forkAgainEvery != 0 {
				return nil
			}
			child, err := a.forkAgain()
			if err != nil {
				return err
			}
			again[i] = child
			// Both go on, each on its own side.
			if err := child.work(d.store, rng, "second", &done); err != nil {
				return err
			}
			return a.work(d.store, rng, "later", &done)
		})
	}
	g.Go(func() error { return d.main.work(d.store, rand.New(rand.NewPCG(1, 8)), "main", &done) })
	if err := g.Wait(); err != nil {
		return err
	}
	forkedAgain := 0
	for _, child := range again {
		if child != nil {
			forkedAgain++
			d.agents = append(d.agents, child)
		}
	}
	took := time.Since(started)
	r := d.report
	r.Edits, r.Adds, r.Deletes = int(done.edits.Load()), int(done.adds.Load()), int(done.deletes.Load())
	r.Forks, r.ChangeSeconds = len(d.agents)+1, took.Seconds()
	d.line("%d at a time: %s edits, %s new files, %s deletes in %.1f s", agentsAtOnce,
		picture.Count(r.Edits), picture.Count(r.Adds), picture.Count(r.Deletes), took.Seconds())
	d.line("%s forked again and changed more on both sides; main moved on too", countOf(forkedAgain, "agent", "agents"))
	d.line("each round of an agent was one atomic batch, durable when acknowledged")
	if err := d.store.Flush(); err != nil {
		return err
	}
	d.line("then all was flushed: reads now go through tables that forks share")
	return nil
}

// counts is how much the agents did, added up by all of them.
type counts struct {
	edits, adds, deletes atomic.Int64
}

// forkAgain forks an agent's fork.
func (a *agent) forkAgain() (*agent, error) {
	name := a.name + "/again"
	fork, err := a.fork.Fork(name)
	if err != nil {
		return nil, err
	}
	child := &agent{name: name, fork: fork, want: a.want.fork()}
	child.kin = append([]*agent{a}, a.kin...)
	a.kin = append(a.kin, child)
	return child, nil
}

// work edits, adds and deletes a few files in one durable batch. The expectation
// changes only after the store has acknowledged it.
func (a *agent) work(store *engine.Store, rng *rand.Rand, round string, done *counts) error {
	batch := store.NewBatch()
	type change struct {
		key   string
		value []byte // nil: deleted
	}
	var changes []change
	used := map[string]bool{}
	for range editsPerRound + deletesPerRound {
		key := a.pick(rng, used)
		if key == "" {
			break
		}
		if len(changes) >= editsPerRound {
			batch.Delete(a.fork, []byte(key))
			changes = append(changes, change{key, nil})
			done.deletes.Add(1)
			continue
		}
		value, err := a.edited(key, round)
		if err != nil {
			return err
		}
		batch.Set(a.fork, []byte(key), value)
		changes = append(changes, change{key, value})
		done.edits.Add(1)
	}
	for i := range addsPerRound {
		// Some names are the same for all agents, with different contents.
		key := fmt.Sprintf("notes/%s-%d.md", round, i)
		if i > 0 {
			key = fmt.Sprintf("notes/%s-%s-%d.md", a.name, round, i)
		}
		text := fmt.Sprintf("# Notes of %s, %s round\n\nnote %d: %x\n", a.name, round, i, rng.Uint64())
		value := tree.NewFile(0o644, 0, []byte(text)).Append(nil, []byte(text))
		batch.Set(a.fork, []byte(key), value)
		changes = append(changes, change{key, value})
		done.adds.Add(1)
	}
	if err := batch.Commit(); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	for _, c := range changes {
		if c.value == nil {
			a.want.delete(c.key)
		} else {
			a.want.set(c.key, c.value)
		}
	}
	return nil
}

// pick chooses a file that is there and was not chosen in this round, or "".
func (a *agent) pick(rng *rand.Rand, used map[string]bool) string {
	files := a.want.base.editable
	for range 50 {
		key := files[rng.IntN(len(files))]
		if !used[key] && a.want.of(key).present {
			used[key] = true
			return key
		}
	}
	return ""
}

// edited reads a file through the fork, compares it with what it should be, and
// gives its next content.
func (a *agent) edited(key, round string) ([]byte, error) {
	value, err := a.fork.Get([]byte(key))
	if err != nil {
		return nil, fmt.Errorf("%s: edit %q: %w", a.name, key, err)
	}
	if got := xxhash.Sum64(value); got != a.want.of(key).hash {
		return nil, &VerifyError{Differences: []string{fmt.Sprintf("%s: %q differs before it is edited", a.name, key)}, Count: 1}
	}
	e, content, err := tree.Parse(value)
	if err != nil {
		return nil, fmt.Errorf("%s: edit %q: %w", a.name, key, err)
	}
	content = fmt.Appendf(content[:len(content):len(content)], "\n// %s was here (%s round)\n", a.name, round)
	return tree.NewFile(e.Mode, e.ModTime, content).Append(nil, content), nil
}
