package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// crowd is several clients on one store. Writer w commits batches; the i-th sets,
// in main and in the fork side alike, "w" and "w-again" to i, and "w-was-i" to
// anything, after it has deleted the range that holds all but the first of these.
// Forkers fork main and side while that goes on. So every state of the store that
// anybody may ever see, in a fork or after a crash, has for each writer one number,
// the same under both keys and in the third; and the log's order is known wherever
// one operation ended before another began.
type crowd struct {
	store *engine.Store
	clock atomic.Int64
	ops   [][]event       // of each writer
	forks map[string]fork // by name
	mu    sync.Mutex      // guards forks and err
	err   error
}

// event is one operation: when it began and ended, by the crowd's clock. 0: not
// yet.
type event struct {
	began, ended atomic.Int64
	durable      bool
}

// fork is a fork that was made and what was read in it right then.
type fork struct {
	made *event
	seen model.Contents
}

const (
	writers     = 3
	writesEach  = 120
	forkers     = 2
	forksEach   = 40
	crowdStride = 37
)

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.err == nil {
		c.err = err
	}
}

func (c *crowd) write(w int, main, side *engine.Fork, rng *rand.Rand) error {
	key, again := []byte(fmt.Sprintf("w%d", w)), []byte(fmt.Sprintf("w%d-again", w))
	for i := range c.ops[w] {
		e := &c.ops[w][i]
		e.durable = rng.IntN(8) == 0
		value := []byte(strconv.Itoa(i + 1))
		b := c.store.NewBatch()
		for _, f := range []*engine.Fork{main, side} {
			b.Set(f, key, value)
			b.DeleteRange(f, []byte(fmt.Sprintf("w%d-", w)), []byte(fmt.Sprintf("w%d.", w)))
			b.Set(f, []byte(fmt.Sprintf("w%d-was-%d", w, i+1)), nil)
			b.Set(f, []byte(fmt.Sprintf("pad%d", rng.IntN(20))), []byte(strings.Repeat("x", rng.IntN(60))))
			b.Set(f, again, value)
		}
		options := []engine.WriteOption{engine.NoSync}
		if e.durable {
			options = nil
		}
		e.began.Store(c.clock.Add(1))
		if err := b.Commit(options...); err != nil {
			return err
		}
		e.ended.Store(c.clock.Add(1))
	}
	return nil
}

func (c *crowd) fork(n int, from *engine.Fork, rng *rand.Rand) error {
	type kept struct {
		f    *engine.Fork
		name string
		seen model.Contents
	}
	var all []kept
	for j := range forksEach {
		name := fmt.Sprintf("x%d-%d", n, j)
		e := &event{durable: rng.IntN(3) == 0}
		options := []engine.WriteOption{engine.NoSync}
		if e.durable {
			options = nil
		}
		e.began.Store(c.clock.Add(1))
		f, err := from.Fork(name, options...)
		if err != nil {
			return err
		}
		e.ended.Store(c.clock.Add(1))
		seen, err := readContents(f)
		if err != nil {
			return err
		}
		if _, err := numbers(seen); err != nil {
			return fmt.Errorf("fork %s: %w", name, err)
		}
		c.mu.Lock()
		c.forks[name] = fork{e, seen}
		c.mu.Unlock()
		all = append(all, kept{f, name, seen})
		old := all[rng.IntN(len(all))]
		again, err := readContents(old.f)
		if err != nil {
			return err
		}
		if d := model.DiffContents(again, old.seen); d != "" {
			return fmt.Errorf("fork %s has changed: %s", old.name, d)
		}
	}
	return nil
}

// numbers gives for each writer its number in one fork.
func numbers(seen model.Contents) ([writers]int, error) {
	var n [writers]int
	for w := range n {
		first, _ := seen.Get(fmt.Sprintf("w%d", w))
		second, _ := seen.Get(fmt.Sprintf("w%d-again", w))
		if first != second {
			return n, fmt.Errorf("half a batch of writer %d: %q and %q", w, first, second)
		}
		third := seen.Within(model.Range{Lower: ops.Bound(fmt.Sprintf("w%d-was-", w)), Upper: ops.Bound(fmt.Sprintf("w%d-was.", w))}).Keys()
		if want := fmt.Sprintf("w%d-was-%s", w, first); first != "" && (len(third) != 1 || third[0] != want) || first == "" && len(third) > 0 {
			return n, fmt.Errorf("of the range that writer %d deletes in each batch there is %q beside the number %q", w, third, first)
		}
		n[w], _ = strconv.Atoi(first)
	}
	return n, nil
}

// judge compares a recovered view with all that is known of the order. from and
// to are the times between which the image was made; kill tells that only the
// process died.
func (c *crowd) judge(v model.View, from, to int64, kill bool) error {
	main, ok := v.Forks.Get("main")
	side, ok2 := v.Forks.Get("side")
	switch {
	case ok && ok2:
	case to == 0:
		return nil // before the first client began; both are durable by then
	default:
		return fmt.Errorf("of main (%v) and side (%v) one is lost", ok, ok2)
	}
	inMain, err := numbers(main)
	if err != nil {
		return fmt.Errorf("main: %w", err)
	}
	inSide, err := numbers(side)
	if err != nil {
		return fmt.Errorf("side: %w", err)
	}
	if inMain != inSide {
		return fmt.Errorf("half a batch over two forks: main has %v, side has %v", inMain, inSide)
	}
	firstAbsent, lastPresent := int64(1<<62), int64(0)
	note := func(what string, e *event, present bool) error {
		began, ended := e.began.Load(), e.ended.Load()
		switch {
		case present && (began == 0 || began > to):
			return fmt.Errorf("%s is there before it was begun", what)
		case present:
			lastPresent = max(lastPresent, began)
		case ended != 0:
			firstAbsent = min(firstAbsent, ended)
			if ended < from && (kill || e.durable) {
				return fmt.Errorf("%s is lost (it ended at %d, the image is of %d)", what, ended, from)
			}
		}
		return nil
	}
	for w := range c.ops {
		for i := range c.ops[w] {
			if err := note(fmt.Sprintf("write %d of writer %d", i+1, w), &c.ops[w][i], i < inMain[w]); err != nil {
				return err
			}
		}
	}
	for name, f := range c.forks {
		got, present := v.Forks.Get(name)
		if err := note("fork "+name, f.made, present); err != nil {
			return err
		}
		if !present {
			continue
		}
		if d := model.DiffContents(got, f.seen); d != "" {
			return fmt.Errorf("fork %s is not what it was when it was made: %s", name, d)
		}
	}
	if lastPresent > firstAbsent {
		return fmt.Errorf("no prefix: an operation that ended at %d is not there, one that began at %d is", firstAbsent, lastPresent)
	}
	return nil
}

// moment is an image and when it was made.
type moment struct {
	fs       *crashfs.FS
	from, to int64
	kill     bool
	how      string
}

func crowdRun(seed uint64, c Config, under func(vfs.FS) vfs.FS, counts *Counts) error {
	disk := newDisk()
	people := &crowd{ops: make([][]event, writers), forks: map[string]fork{}}
	for w := range people.ops {
		people.ops[w] = make([]event, writesEach)
	}
	var mu sync.Mutex
	var moments []moment
	calls, draw := 0, rand.New(rand.NewPCG(seed, 5))
	options := c.Options
	options.FS = &tap{under(disk), func(call, name string) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%crowdStride != 0 {
			return
		}
		m := moment{from: people.clock.Load(), how: fmt.Sprintf("before call %d: %s %s", calls, call, name)}
		switch draw.IntN(3) {
		case 0:
			m.fs, m.kill = disk.AfterKill(), true
		case 1:
			m.fs = disk.PowerLossStrict()
		default:
			m.fs = disk.PowerLoss(draw)
		}
		m.to = people.clock.Load()
		moments = append(moments, m)
	}}
	s, err := engine.Open(storeDir, &options)
	if err != nil {
		return err
	}
	defer s.Close()
	people.store = s
	main, err := s.Fork("main")
	if err != nil {
		return err
	}
	side, err := main.Fork("side")
	if err != nil {
		return err
	}
	var clients, others sync.WaitGroup
	for w := range writers {
		clients.Go(func() { people.fail(people.write(w, main, side, rand.New(rand.NewPCG(seed, uint64(w))))) })
	}
	for n := range forkers {
		clients.Go(func() {
			people.fail(people.fork(n, []*engine.Fork{main, side}[n%2], rand.New(rand.NewPCG(seed, uint64(100+n)))))
		})
	}
	done := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				people.fail(errors.Join(s.Flush(), s.Compact()))
			}
		}
	})
	clients.Wait()
	close(done)
	others.Wait()
	if people.err != nil {
		return people.err
	}
	live, err := readView(s)
	if err != nil {
		return err
	}
	now := people.clock.Load()
	if err := people.judge(live, now, now, true); err != nil {
		return fmt.Errorf("the live store: %w", err)
	}
	if err := errors.Join(s.Settle(), s.Verify()); err != nil {
		return err
	}
	judge := &Judge{config: c, counts: counts}
	recovered, _, err := judge.view(disk.AfterKill())
	if err != nil {
		return err
	}
	if d := model.Diff(recovered, live); d != "" {
		return fmt.Errorf("the log tells another story than memory: %s", d)
	}
	counts.Add("forks made under writes", len(people.forks))
	counts.Add("images", len(moments))
	for _, m := range moments {
		v, _, err := judge.view(m.fs)
		if err == nil {
			err = people.judge(v, m.from, m.to, m.kill)
		}
		if err != nil {
			return fmt.Errorf("%s (killed only: %v): %w", m.how, m.kill, err)
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	return checkClean(disk, storeDir)
}

// crowdTrial lets clients crowd on a store with background work or, every other
// seed, on one without.
func crowdTrial() Trial {
	return Trial{
		Name: "clients",
		Runs: 24,
		Run: func(seed uint64, counts *Counts) error {
			c := CrashConfig()
			c.Options.Manual = seed%2 == 0
			if err := crowdRun(seed, c, func(fs vfs.FS) vfs.FS { return fs }, counts); err != nil {
				return fmt.Errorf("manual %v: %w", c.Options.Manual, err)
			}
			return nil
		},
		Sometimes: map[string]int{"images": 500, "forks made under writes": 1000},
	}
}
