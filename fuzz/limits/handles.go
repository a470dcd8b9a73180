package limits

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// Handles lets files not be opened or created for want of descriptors, once and
// for a while, under every verb. That is a refusal: nothing is damaged, nothing
// is stopped, and afterwards everything works again.
func Handles() fuzz.Trial {
	return fuzz.Trial{
		Name: "no-descriptors",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			h := &handles{rng: rand.New(rand.NewPCG(seed, 10)), counts: counts, disk: crashfs.New(), want: book{}}
			return h.run()
		},
		Sometimes: map[string]int{
			"calls refused": 300, "refused: get": 20, "refused: scan": 20, "refused: write": 20, "refused: fork": 20,
			"refused: flush": 20, "refused: compact": 10, "refused: open": 10, "resumed": 300,
		},
	}
}

// handles is one run.
type handles struct {
	rng     *rand.Rand
	counts  *fuzz.Counts
	disk    *crashfs.FS
	faults  *faultfs.FS
	options engine.Options
	store   *engine.Store
	want    book
	n       int
}

func (h *handles) run() error {
	h.faults = faultfs.New(h.disk)
	h.options = engine.Options{
		FS: h.faults, Manual: true, MemtableBytes: 8 << 10, SegmentBytes: 2 << 10, TableBytes: 1 << 10,
		BlockBytes: 256, CacheBytes: 1, MaxOpenFiles: 2,
	}
	var err error
	if h.store, err = engine.Open("store", &h.options); err != nil {
		return err
	}
	h.want[engine.MainFork] = model.Contents{}
	verbs := []string{"get", "scan", "write", "fork", "flush", "compact", "open"}
	for i := range 60 {
		for range 4 {
			if err := h.do("write"); err != nil {
				return err
			}
		}
		if i%3 == 0 {
			if err := h.do("flush"); err != nil {
				return err
			}
		}
		verb := verbs[h.rng.IntN(len(verbs))]
		if err := h.refuse(verb); err != nil {
			return fmt.Errorf("round %d: %s without descriptors: %w", i, verb, err)
		}
	}
	if err := h.want.compare(h.store); err != nil {
		return err
	}
	return h.store.Close()
}

// refuse does something while there are no descriptors, and then, when there are,
// once more.
func (h *handles) refuse(verb string) error {
	rule := faultfs.Rule{Op: faultfs.OpOpen, Err: syscall.EMFILE, Sticky: h.rng.IntN(2) == 0, Nth: 1 + h.rng.IntN(2)}
	h.faults.Inject(rule)
	rule.Op = faultfs.OpCreate
	h.faults.Inject(rule)
	before := h.faults.Injected()
	var err error
	for tries := 0; err == nil && tries < 12; tries++ {
		err = h.do(verb)
	}
	met := h.faults.Injected() > before
	h.faults.Clear()
	switch {
	case err == nil && met:
		h.counts.Add("done all the same", 1)
	case err == nil:
		return nil // it needed no file
	case !errors.Is(err, syscall.EMFILE) || errors.Is(err, engine.ErrPoisoned) || errors.Is(err, engine.ErrCorrupt) ||
		errors.Is(err, engine.ErrIndeterminate) || errors.Is(err, engine.ErrNoSpace):
		return fmt.Errorf("this does not say that descriptors are missing, or more than that: %w", err)
	default:
		h.counts.Add("calls refused", 1)
		h.counts.Add("refused: "+verb, 1)
	}
	if err := h.do(verb); err != nil {
		return fmt.Errorf("with descriptors again: %w", err)
	}
	if err := h.want.compare(h.store); err != nil {
		return err
	}
	if err := h.store.Settle(); err != nil {
		return err
	}
	if err := h.store.Verify(); err != nil {
		return err
	}
	h.counts.Add("resumed", 1)
	return nil
}

func (h *handles) do(verb string) error {
	h.n++
	names := h.want.names()
	name := names[h.rng.IntN(len(names))]
	if verb == "open" {
		if h.store != nil {
			if err := h.store.Close(); err != nil {
				return fmt.Errorf("close: %w", err)
			}
		}
		s, err := engine.Open("store", &h.options)
		h.store = s
		if err != nil && h.disk.OpenFiles() != 0 {
			return fmt.Errorf("%d files or locks are open after a refused open: %s", h.disk.OpenFiles(), err)
		}
		return err
	}
	f, err := h.store.Fork(name)
	if err != nil {
		return err
	}
	switch verb {
	case "get":
		key := fmt.Sprintf("k%03d", h.rng.IntN(200))
		want, found := h.want[name].Get(key)
		switch got, err := f.Get([]byte(key)); {
		case err != nil && (found || !errors.Is(err, engine.ErrNotFound)):
			return err
		case (err == nil) != found || string(got) != want:
			return fmt.Errorf("get %s of %s: %.80q, want %.80q (there: %v)", key, name, got, want, found)
		}
	case "scan":
		return h.want.compareFork(h.store, name)
	case "write":
		key := fmt.Sprintf("k%03d", h.rng.IntN(200))
		value := ops.Value(name, h.n, key, 150)
		if err := f.Set([]byte(key), []byte(value)); err != nil {
			return err
		}
		h.want[name] = h.want[name].Set(key, value)
	case "fork":
		child := fmt.Sprintf("f%d", h.n)
		if _, err := f.Fork(child); err != nil {
			return err
		}
		h.want[child] = h.want[name]
		if len(h.want) > 10 {
			if err := f.Drop(); err != nil {
				return err
			}
			delete(h.want, name)
		}
	case "flush":
		return h.store.Flush()
	case "compact":
		return h.store.Compact()
	}
	return nil
}
