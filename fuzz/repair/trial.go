package repair

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

const storeDir = "/store"

// steps is how many operations a run makes.
const steps = 60

// Trials are those of this package.
func Trials() []fuzz.Trial {
	return []fuzz.Trial{{
		Name: "repair-orphans",
		Run:  run,
		Runs: 120,
		Sometimes: map[string]int{
			"images": 1000, "images with orphans": 200, "repairs": 40, "power losses after a repair": 160,
			"tables kept because the manifest names them": 20, "syncs that failed": 30, "power losses after a repair of what was all durable": 20,
			"orphans left because second manifest": 5, "orphans left because may not be durable": 20,
		},
	}}
}

func options(disk vfs.FS) *engine.Options {
	return &engine.Options{FS: disk, Manual: true, SegmentBytes: 16 << 10, TableBytes: 4 << 10, BlockBytes: 512}
}

// run makes one store and judges images of it.
func run(seed uint64, counts *fuzz.Counts) error {
	rng := rand.New(rand.NewPCG(seed, 0x7265))
	disk := crashfs.New()
	faults := faultfs.New(disk)
	var failed error
	at, every := 0, 3+rng.IntN(10)
	disk.OnMutation(func(int) {
		if at++; failed == nil && at%every == 0 {
			failed = judge(image(disk, rng), rng, counts)
		}
	})
	if seed%2 == 1 {
		op, what := faultfs.OpSync, "MANIFEST-"
		if seed%4 == 3 {
			op, what = faultfs.OpSyncDir, ""
		}
		faults.Inject(faultfs.Rule{Op: op, Nth: 2 + rng.IntN(25), Match: func(name string) bool { return strings.Contains(name, what) }})
	}
	w := writer{rng: rng, disk: faults}
	for step := range steps {
		err := w.step()
		if failed != nil {
			return fmt.Errorf("step %d: %w", step, failed)
		}
		if err != nil {
			if faults.Injected() == 0 || !errors.Is(err, syscall.EIO) && !errors.Is(err, engine.ErrPoisoned) {
				return fmt.Errorf("step %d: %w", step, err)
			}
			counts.Add("syncs that failed", 1)
			break
		}
	}
	disk.OnMutation(nil)
	for range 4 {
		if err := judge(image(disk, rng), rng, counts); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	return nil
}

// image is what a dead process leaves or, less often, a power loss. In some of them
// another process has begun to open the store, and has died as well.
func image(disk *crashfs.FS, rng *rand.Rand) *crashfs.FS {
	if rng.IntN(3) == 0 {
		disk = disk.AfterKill()
		disk.KillAt(1 + rng.IntN(12))
		if s, err := engine.Open(storeDir, options(disk)); err == nil {
			disk.Kill()
			_ = s.Close()
		}
	}
	if rng.IntN(4) == 0 {
		return disk.PowerLoss(rng)
	}
	return disk.AfterKill()
}

// writer does operations that make tables come and go.
type writer struct {
	rng   *rand.Rand
	disk  vfs.FS
	store *engine.Store
	made  int
}

func (w *writer) step() (err error) {
	if w.store == nil {
		w.store, err = engine.Open(storeDir, options(w.disk))
		return err
	}
	forks := w.store.Forks()
	info := forks[w.rng.IntN(len(forks))]
	f, err := w.store.Fork(info.Name)
	if err != nil {
		return err
	}
	switch w.rng.IntN(12) {
	case 0:
		w.made++
		_, err = f.Fork(fmt.Sprintf("f%d", w.made))
	case 1:
		w.made++
		_, err = f.Snapshot(fmt.Sprintf("s%d", w.made))
	case 2:
		if len(forks) > 1 {
			err = f.Drop()
		}
	case 3, 4, 5:
		err = w.store.Flush()
	case 6:
		err = w.store.Compact()
	case 7:
		err = w.store.Close()
		w.store = nil
	default:
		b := w.store.NewBatch()
		for range 1 + w.rng.IntN(20) {
			b.Set(f, fmt.Appendf(nil, "key%02d", w.rng.IntN(60)), fmt.Appendf(nil, "%s %d", info.Name, w.rng.Uint64()))
		}
		b.Delete(f, fmt.Appendf(nil, "key%02d", w.rng.IntN(60)))
		err = b.Commit()
	}
	return err
}
