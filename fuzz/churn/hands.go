package churn

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// hands is how many goroutines churn at a time in a run by many hands, and cyclesPerHand
// what each of them does between two moments at which everything is compared.
const (
	hands         = 4
	roundsOfHands = 4
	cyclesPerHand = 75
)

// Hands lets several goroutines churn in one store, each with forks of its own, all of
// which begin as one: they share tables, chunks and files, and merges, drops and
// relocations of one meet those of the others. Then everything is compared at rest.
func Hands() fuzz.Trial {
	return fuzz.Trial{
		Name: "churn-hands",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			p := planOf(seed)
			return p.describe(byManyHands(p, counts))
		},
		Sometimes: map[string]int{
			"cycles": 7_200, "exact checks": 36, "forks made at once": 200, "drop forks of several": 15, "drop subtree of several": 8,
			"iterators over a flush or merge": 80, "store: merges across a branch point": 150, "store: joins": 150,
			"store: tables relocated": 1_000, "packs": 50, "iterators through a weave, no background work": 30, "runs that ended with one fork": 6,
		},
	}
}

func byManyHands(p plan, counts *fuzz.Counts) (err error) {
	r := &run{plan: p, rng: rand.New(rand.NewPCG(p.seed, 9)), counts: counts, options: p.config.Opening(counts), dir: "store"}
	r.disk = crashfs.New()
	r.faults = faultfs.New(r.disk)
	r.unlinks = &unlinks{FS: r.faults, failed: map[string]bool{}}
	r.options.FS = r.unlinks
	defer func() {
		if err != nil && r.store != nil {
			_ = r.store.Close()
		}
	}()
	if err := r.begin(); err != nil {
		return err
	}
	heap := heapBytes()
	main := r.live[0]
	all := make([]*run, hands)
	for i := range all {
		h := *r
		all[i], h.hand, h.rng = &h, string(rune('a'+i)), rand.New(rand.NewPCG(p.seed, uint64(10+i)))
		root := &fork{name: h.hand, contents: main.contents} // no child of main, which belongs to nobody
		if root.handle, err = main.handle.Fork(root.name, engine.NoSync); err != nil {
			return err
		}
		h.live = []*fork{root}
	}
	for range roundsOfHands {
		if err := r.together(all, main); err != nil {
			return err
		}
		if err := r.exact(); err != nil {
			return err
		}
		if err := r.crash(); err != nil {
			return err
		}
	}
	return r.end(heap)
}

// together has each hand go through some cycles at the same time as the others, and
// gathers what all of them have.
func (r *run) together(all []*run, main *fork) error {
	failed := make([]error, len(all))
	var done sync.WaitGroup
	for i, h := range all {
		h.store = r.store
		done.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failed[i] = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			for range cyclesPerHand {
				if failed[i] = h.cycleOfHand(); failed[i] != nil {
					return
				}
			}
			failed[i] = h.letAllGo()
		})
	}
	done.Wait()
	r.live, r.snapshots = []*fork{main}, nil
	for i, h := range all {
		if failed[i] != nil {
			return fmt.Errorf("hand %s: %w", h.hand, failed[i])
		}
		r.live, r.snapshots = append(r.live, h.live...), append(r.snapshots, h.snapshots...)
		r.mostTables = max(r.mostTables, h.mostTables)
	}
	return nil
}

// cycleOfHand is a cycle of one of several: without what stops the others, which are
// failing unlinks and reopens.
func (r *run) cycleOfHand() error {
	r.counts.Add("cycles", 1)
	child, err := r.fork()
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return r.writeTo(child) },
		r.work, r.readSome, r.useHeld, r.keep, r.loseSome,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
