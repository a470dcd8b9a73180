package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Judge opens images and says whether each is what the history promised. It may
// be used concurrently.
type Judge struct {
	history *History
	config  Config
	counts  *Counts
	depth   int  // how many recoveries in a row are crashed again
	kills   bool // no power is lost after the recovery
	goOn    int  // one image in so many is written on; 0: each
}

// Verdict is nil if the image holds one prefix of the history that reaches at
// least to Low and at most to High, for all forks and snapshots together, and
// goes on holding it.
func (j *Judge) Verdict(i Image) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, stack())
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", i.How, err)
		}
	}()
	rng := rand.New(rand.NewPCG(i.Seed, 7))
	if rng.IntN(4) == 0 {
		if err := j.checkUnopened(i.FS.AfterKill()); err != nil {
			return err
		}
	}
	base := i.FS.AfterKill()
	k, known, after, err := j.recovered(i, rng)
	if err != nil {
		return err
	}
	if k > i.Low {
		j.counts.Add("operation that was not promised is there", 1)
	}
	if k < i.High {
		j.counts.Add("operation that was not promised is not there", 1)
	}
	if j.depth > 0 && rng.IntN(20) == 0 {
		if err := j.crashRecovery(base, i, k, rng); err != nil {
			return err
		}
	}
	if rng.IntN(max(j.goOn, 1)) > 0 {
		return nil
	}
	return j.writeOn(after, k, known, rng)
}

// checkUnopened demands that a crash is not taken for damage.
func (j *Judge) checkUnopened(fs *crashfs.FS) error {
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: deepest, FS: fs})
	if err != nil {
		if errors.Is(err, engine.ErrNotStore) && !slices.Contains(fs.Names(), storeDir+"/"+ids.CurrentName) {
			return nil // the crash came before there was a store
		}
		return fmt.Errorf("check before recovery: %w (files %v)", err, fs.Names())
	}
	if len(report.Problems) > 0 || len(report.Missing) > 0 {
		return fmt.Errorf("check before recovery: problems %v, missing %v", report.Problems, report.Missing)
	}
	if report.TornLog {
		j.counts.Add("torn logs", 1)
	}
	if report.TornManifest {
		j.counts.Add("torn manifests", 1)
	}
	return nil
}

// recovered opens the store and tells which prefix it holds, and what the
// process leaves that dies then. As soon as the store is open a power loss may no
// longer change that: recovery has made durable what it decided.
func (j *Judge) recovered(i Image, rng *rand.Rand) (k int, known *births, after *crashfs.FS, err error) {
	l, opened, after, err := j.look(i.FS)
	if err != nil {
		return 0, nil, nil, err
	}
	k, found := j.history.find(opened, i.Low, i.High)
	if !found {
		return 0, nil, nil, j.explain(opened, i.Low, i.High)
	}
	known = newBirths()
	if !i.Making {
		known = j.history.births.in(j.history.state(k))
	}
	if err := known.learn(l, j.history.state(k)); err != nil {
		return 0, nil, nil, fmt.Errorf("recovered state is that after %d, but %w", k, err)
	}
	if err := checkKilled(after.AfterKill()); err != nil {
		return 0, nil, nil, err
	}
	loss, kind := after.PowerLossStrict, "power losses after recovery, nothing unsynced kept"
	switch seed := rng.Uint64(); {
	case j.kills:
		loss, kind = after.AfterKill, "kills after recovery"
	case seed%2 == 0:
		loss = func() *crashfs.FS { return after.PowerLoss(rand.New(rand.NewPCG(seed, 0))) }
		kind = "power losses after recovery, some of it kept"
	}
	j.counts.Add(kind, 1)
	l, again, _, err := j.look(loss())
	if err != nil {
		return 0, nil, nil, fmt.Errorf("after a power loss right after recovery: %w", err)
	}
	if err := known.learn(l, j.history.state(k)); err != nil {
		return 0, nil, nil, fmt.Errorf("after a power loss right after recovery: %w", err)
	}
	if d := model.Diff(again, opened); d != "" {
		return 0, nil, nil, fmt.Errorf("a power loss right after recovery changes what was recovered: %s", d)
	}
	return k, known, after, nil
}

// view opens the store, reads all of it and lets the process die.
func (j *Judge) view(fs *crashfs.FS) (v model.View, after *crashfs.FS, err error) {
	_, v, after, err = j.look(fs)
	return v, after, err
}

// look does the same, and gives what the store lists too.
func (j *Judge) look(fs *crashfs.FS) (l listing, v model.View, after *crashfs.FS, err error) {
	s, err := j.open(fs)
	if err != nil {
		return l, v, nil, err
	}
	l = listed(s)
	v, err = readListed(s, l)
	after = fs.AfterKill()
	fs.Kill()
	s.Close() // stops its goroutines; the dead file system takes nothing from it
	if err != nil {
		return l, v, nil, fmt.Errorf("read after recovery: %w", err)
	}
	return l, v, after, nil
}

func (j *Judge) open(fs *crashfs.FS) (*engine.Store, error) {
	o := j.config.Opening(j.counts)
	o.FS = fs
	s, err := engine.Open(storeDir, &o)
	if err != nil {
		return nil, fmt.Errorf("open after a crash: %w", err)
	}
	return s, nil
}

// explain tells how a view that is no prefix differs from the nearest ones.
func (j *Judge) explain(got model.View, low, high int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "recovered state is the model's after no number of operations in %d…%d", low, high)
	for k := max(low, high-3); k <= high; k++ {
		fmt.Fprintf(&b, "\n  against %d: %s", k, model.Diff(got, j.history.state(k).View()))
	}
	if k, found := j.history.find(got, 0, low-1); found {
		fmt.Fprintf(&b, "\n  it is the state after %d: what was promised since is lost", k)
	}
	return fmt.Errorf("%s", b.String())
}

// crashRecovery opens a copy of the image, crashes at calls of the recovery and
// judges what that leaves: the same k operations. Only where a kill left bytes
// that were not durable may a power loss in the recovery take more, but nothing
// that was synced.
func (j *Judge) crashRecovery(fs *crashfs.FS, i Image, k int, rng *rand.Rand) error {
	deeper := &Judge{history: j.history, config: j.config, counts: j.counts, depth: j.depth - 1, goOn: j.goOn}
	names, files := fs.Volatile()
	durable := names+files == 0
	var images []Image
	calls := 0
	fs.OnMutation(func(int) {
		calls++
		if rng.IntN(3) > 0 {
			return
		}
		image := Image{Low: k, High: k, Synced: i.Synced, Seed: rng.Uint64(), Making: i.Making}
		if durable {
			image.Synced = k
		}
		how := "killed"
		switch rng.IntN(4) {
		case 0:
			image.FS = fs.AfterKill()
		case 1:
			image.FS, image.Low, how = fs.PowerLossStrict(), image.Synced, "power lost, nothing unsynced kept,"
		default:
			seed := rng.Uint64()
			image.FS, image.Low, how = fs.PowerLoss(rand.New(rand.NewPCG(seed, 0))), image.Synced, fmt.Sprintf("power lost, seed %d,", seed)
		}
		image.How = fmt.Sprintf("%s again at call %d of the recovery", how, calls)
		images = append(images, image)
	})
	s, err := j.open(fs)
	if err != nil {
		return err
	}
	fs.OnMutation(nil)
	s.Close()
	j.counts.Add("images in recovery", len(images))
	for _, image := range images {
		if err := deeper.Verdict(image); err != nil {
			return err
		}
	}
	return nil
}

// writeOn writes on after a recovery, flushes, compacts and closes; nothing may be
// wrong then, and everything be there once more.
func (j *Judge) writeOn(fs *crashfs.FS, k int, known *births, rng *rand.Rand) error {
	s, err := j.open(fs)
	if err != nil {
		return err
	}
	d := &Driver{
		options: j.config.Opening(j.counts), dir: storeDir, store: s, state: j.history.state(k), counts: NewCounts(),
		held: map[int]*held{}, writtenIn: map[int]bool{}, openHandles: fs.OpenFiles,
		births: known,
		forks:  map[int]*engine.Fork{}, snapshots: map[int]*engine.Snapshot{},
	}
	d.options.FS = fs
	first, _ := d.state.Forks.At(rng.IntN(d.state.Forks.Len()))
	more := []ops.Op{
		{Kind: ops.Put, Fork: first, Key: "after", Size: 60, NoSync: true},
		{Kind: ops.Fork, Fork: first, Name: "after-crash"},
		{Kind: ops.Put, Fork: "after-crash", Key: "k001", Size: 60},
		{Kind: ops.Delete, Fork: first, Key: "k002"},
		{Kind: ops.DeleteRange, Fork: "after-crash", Range: model.Range{Lower: ops.Bound("k003"), Upper: ops.Bound("k9")}, NoSync: true},
		{Kind: ops.Reopen}, {Kind: ops.Check}, {Kind: ops.Flush}, {Kind: ops.Check},
		{Kind: ops.Drop, Fork: first}, {Kind: ops.Compact}, {Kind: ops.Verify}, {Kind: ops.Check},
		{Kind: ops.Reopen}, {Kind: ops.Check},
	}
	for n, op := range more {
		op.N = 1000000 + n
		if err := d.Do(op); err != nil {
			return fmt.Errorf("going on after recovery to %d: %w", k, err)
		}
	}
	if err := d.Close(); err != nil {
		return fmt.Errorf("going on after recovery: close: %w", err)
	}
	return checkTidy(fs, storeDir)
}
