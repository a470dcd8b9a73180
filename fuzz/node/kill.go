package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

const (
	killsPerRun = 52
	// killsPerCheck is after how many kills the directory is checked as the kill has
	// left it.
	killsPerCheck = 8
)

// Trials are the ways to maltreat a node.
func Trials() []fuzz.Trial { return []fuzz.Trial{Kill(), Hostile()} }

// Kill kills nodes under their clients.
func Kill() fuzz.Trial {
	return fuzz.Trial{
		Name: "node-kill",
		Runs: 6,
		Run: func(seed uint64, counts *fuzz.Counts) error {
			return inDirectory(func(dir string) error { return kill(dir, seed, killsPerRun, counts) })
		},
		Sometimes: map[string]int{
			"kills": 300, "kills before it served": 30, "answers": 100_000, "stretches judged": 280,
			"forks written, between two kills each": 2_000, "calls without an answer": 1_000,
			"batches sent again: applied before the kill": 30, "batches sent again: applied now": 50, "batches sent again twice at once": 50,
			"write: done": 10_000, "write: missing": 1_000, "read: done": 5_000, "fork: done": 1_000, "fork: exists": 500, "drop: done": 500,
			"reset: done": 500, "rename: done": 100, "list: done": 1_000, "directories checked after a kill": 36, "nodes stopped": 6,
			"tables at the end": 6,
		},
	}
}

func inDirectory(do func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "tine-node-")
	if err != nil {
		return err
	}
	if err := do(dir); err != nil {
		return fmt.Errorf("%w\nstore and history are kept in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

// run is many lives of one store.
type run struct {
	binary, dir string
	counts      *fuzz.Counts
	rand        *rand.Rand
	judges      errgroup.Group
	nextMark    atomic.Uint32

	stretch int
	begin   state // of that stretch
	history *history
	lost    []swallowed
}

// marks gives out n marks that nobody else has, and returns the first.
func (r *run) marks(n uint32) mark { return mark(r.nextMark.Add(n) - n + 1) }

func kill(dir string, seed uint64, kills int, counts *fuzz.Counts) error {
	binary, err := build(dir)
	if err != nil {
		return err
	}
	r := &run{binary: binary, dir: filepath.Join(dir, "store"), counts: counts, rand: rand.New(rand.NewPCG(seed, 5))}
	r.begin.put(0, content{}) // a new store has the fork main
	r.history = &history{began: time.Now()}
	r.judges.SetLimit(1)
	err = r.lives(kills)
	if judged := r.judges.Wait(); judged != nil {
		return judged // what went wrong later may follow from it
	}
	if err != nil {
		return err
	}
	return r.end()
}

func (r *run) lives(kills int) error {
	for life := range kills {
		p, l, err := r.rise()
		if err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		s := &stretch{run: r, node: p, line: l, history: r.history, answers: 200 + r.rand.IntN(300),
			enough: make(chan struct{}), written: map[int]bool{}}
		if err := s.call(r.rand.Uint64()); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if !p.killed() {
			return fmt.Errorf("life %d: the node died by itself: %v\n%s", life, p.ended, p.log.Bytes())
		}
		r.lost = s.lost
		r.counts.Add("kills", 1)
		r.counts.Add("forks written, between two kills each", len(s.written))
		if life%killsPerCheck == 0 {
			if err := r.check(engine.CheckFull); err != nil {
				return fmt.Errorf("after life %d: %w", life, err)
			}
			r.counts.Add("directories checked after a kill", 1)
		}
		if r.rand.IntN(5) == 0 {
			if err := r.killEarly(); err != nil {
				return fmt.Errorf("after life %d: %w", life, err)
			}
		}
	}
	return nil
}

// killEarly starts a node and kills it while it recovers, or shortly after.
func (r *run) killEarly() error {
	p, serving, err := spawn(r.binary, r.dir)
	if err != nil {
		return err
	}
	after := time.Duration(r.rand.IntN(60)) * time.Millisecond // any moment will do
	select {
	case <-time.After(after):
	case <-p.dead:
		return fmt.Errorf("the node ended before it served: %v\n%s", p.ended, p.log.Bytes())
	}
	select {
	case <-serving:
	default:
		r.counts.Add("kills before it served", 1)
	}
	p.kill()
	if !p.killed() {
		return fmt.Errorf("the node ended by itself: %v\n%s", p.ended, p.log.Bytes())
	}
	r.counts.Add("kills", 1)
	return nil
}

// rise starts a node, brings the stretch before to its end, and begins another.
func (r *run) rise() (*process, *channel, error) {
	p, err := start(r.binary, r.dir)
	if err != nil {
		return nil, nil, err
	}
	l, err := connect(p.address)
	if err == nil {
		err = r.turn(l)
	}
	if err != nil {
		p.kill()
		return nil, nil, err
	}
	return p, l, nil
}

// turn ends a stretch by a look at everything, hands it to the judge and begins the
// next.
func (r *run) turn(l *channel) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var group errgroup.Group
	for _, s := range r.lost {
		group.Go(func() error { return s.resend(ctx, r, l, r.history) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.lost = nil
	called := r.history.now()
	world, err := l.look(ctx)
	if err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	r.history.add(callers, look{}, called, answer{world: world})
	begin, calls, number := r.begin, r.history.calls, r.stretch
	r.stretch++
	r.judges.Go(func() error {
		err := judge(begin, calls)
		if errors.Is(err, errUndecided) {
			r.counts.Add("stretches undecided", 1)
			return nil
		}
		r.counts.Add("stretches judged", 1)
		var l *lie
		if errors.As(err, &l) {
			err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(r.dir), fmt.Sprintf("history-%d.txt", number)), []byte(l.all), 0o600))
		}
		return err
	})
	r.begin, r.history = *world, &history{began: time.Now()}
	return nil
}

// end looks once more, stops the node gently and checks everything.
func (r *run) end() error {
	p, l, err := r.rise()
	if err != nil {
		return err
	}
	if err := l.close(); err != nil {
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	r.counts.Add("nodes stopped", 1)
	if err := r.judges.Wait(); err != nil {
		return err
	}
	return r.check(engine.CheckDeep)
}

// check demands that the directory of a node that does not run has no damage.
func (r *run) check(level engine.CheckLevel) error {
	report, err := engine.Check(r.dir, engine.CheckOptions{Level: level})
	if err != nil {
		return fmt.Errorf("check %s: %w", r.dir, err)
	}
	if len(report.Problems)+len(report.Damage)+len(report.Missing) > 0 {
		return fmt.Errorf("check %s: %+v", r.dir, report)
	}
	if level == engine.CheckDeep {
		r.counts.Add("tables at the end", report.Tables)
		if !report.OK() || len(report.Leaked) > 0 {
			return fmt.Errorf("check %s after a gentle stop: %+v", r.dir, report)
		}
	}
	return nil
}
