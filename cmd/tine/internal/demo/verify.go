package demo

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

// A VerifyError says where forks differ from what they should hold.
type VerifyError struct {
	Differences []string // the first few
	Count       int
}

func (e *VerifyError) Error() string {
	return fmt.Sprintf("verification failed, %d differences: %s", e.Count, strings.Join(e.Differences, "; "))
}

// What is compared: untouched keys drawn for each fork, and how long the full
// scans may take once the least number of them is done.
const (
	untouchedPerFork = 100
	leastFullScans   = 12
	fullScanTime     = 8 * time.Second
)

// verifier collects what the goroutines that compare have found.
type verifier struct {
	mu          sync.Mutex
	compared    int
	differences []string
	count       int
}

func (v *verifier) add(compared int, differences []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.compared += compared
	v.count += len(differences)
	for _, text := range differences {
		if len(v.differences) < 10 {
			v.differences = append(v.differences, text)
		}
	}
}

func (v *verifier) err() error {
	if v.count == 0 {
		return nil
	}
	return &VerifyError{Differences: v.differences, Count: v.count}
}

func (d *demo) everyone() []*agent { return append([]*agent{d.main}, d.agents...) }

// verifyAll compares every fork by the keys that matter, and as many as time
// allows, evenly spread, by a full scan.
func (d *demo) verifyAll() error {
	all := d.everyone()
	v := &verifier{}
	if err := d.verifyTouched(v, all); err != nil {
		return err
	}
	touched := v.compared
	scans, err := d.verifyScans(v, all)
	if err != nil {
		return err
	}
	r := d.report
	r.ForksVerified, r.FullScans = len(all), scans
	r.Compared += v.compared
	if err := v.err(); err != nil {
		return err
	}
	d.line("each sees only its own changes: %s of %s forks verified, %s keys compared",
		picture.Count(len(all)), picture.Count(len(all)), picture.Count(v.compared))
	d.line("- %s: every key a fork changed, every key its neighbours, parent, child and main changed,", picture.Count(touched))
	d.line("  and %d keys that none of them did; by hash, against the demo's own record", untouchedPerFork)
	d.line("- %s: every row of %s of the forks by full scan", picture.Count(v.compared-touched), picture.Count(scans))
	return nil
}

// verifyTouched compares, in every fork, the keys that it and its kin changed and
// some that none did.
func (d *demo) verifyTouched(v *verifier, all []*agent) error {
	return d.parallel(all, func(i int, a *agent) error {
		keys := map[string]bool{}
		for _, k := range append([]*agent{a}, a.kin...) {
			for key := range k.want.changes {
				keys[key] = true
			}
		}
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		for range untouchedPerFork {
			keys[d.base.keys[rng.IntN(len(d.base.keys))]] = true
		}
		var value []byte
		var wrong []string
		for key := range keys {
			got, err := a.fork.AppendGet(value[:0], []byte(key))
			is := state{present: err == nil}
			switch {
			case err == nil:
				value, is.hash = got, xxhash.Sum64(got)
			case !errors.Is(err, engine.ErrNotFound):
				return fmt.Errorf("%s: %q: %w", a.name, key, err)
			}
			if want := a.want.of(key); is != want {
				wrong = append(wrong, fmt.Sprintf("%s: %q is %v, should be %v", a.name, key, is, want))
			}
		}
		v.add(len(keys), wrong)
		return nil
	})
}

func (s state) String() string {
	if !s.present {
		return "absent"
	}
	return fmt.Sprintf("%016x", s.hash)
}

// verifyScans compares every row of main and of forks spread evenly over all,
// until the time is used up.
func (d *demo) verifyScans(v *verifier, all []*agent) (int, error) {
	// A stride that shares no divisor with the number visits each once, far
	// apart from the one before.
	stride := max(1, len(all)*5/13)
	for divisor(stride, len(all)) != 1 {
		stride++
	}
	order := make([]*agent, len(all))
	for i := range order {
		order[i] = all[i*stride%len(all)]
	}
	began := time.Now()
	scans := 0
	for len(order) > 0 && (scans < leastFullScans || time.Since(began) < fullScanTime) {
		group := order[:min(len(order), runtime.GOMAXPROCS(0))]
		order = order[len(group):]
		if err := d.parallel(group, func(_ int, a *agent) error { return verifyScan(v, a) }); err != nil {
			return scans, err
		}
		scans += len(group)
	}
	return scans, nil
}

func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// verifyScan compares every row of a fork. Rows that rise strictly, are each as
// they should be, and are as many as they should be, are exactly the rows there
// should be.
func verifyScan(v *verifier, a *agent) error {
	rows, scanErr := a.fork.Scan(engine.Range{})
	n := 0
	var last []byte
	var wrong []string
	for key, value := range rows {
		if n > 0 && bytes.Compare(last, key) >= 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %q comes after %q in a scan", a.name, key, last))
		}
		last = append(last[:0], key...)
		if want := a.want.of(string(key)); want != (state{xxhash.Sum64(value), true}) {
			wrong = append(wrong, fmt.Sprintf("%s: %q is wrong in a scan, should be %v", a.name, key, want))
		}
		n++
	}
	if err := scanErr(); err != nil {
		return fmt.Errorf("%s: scan: %w", a.name, err)
	}
	if n != a.want.rows {
		wrong = append(wrong, fmt.Sprintf("%s: a scan gives %d rows, should be %d", a.name, n, a.want.rows))
	}
	v.add(n, wrong)
	return nil
}

// parallel calls fn for each agent, as many at a time as there are processors.
func (d *demo) parallel(agents []*agent, fn func(i int, a *agent) error) error {
	g, ctx := errgroup.WithContext(d.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, a := range agents {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(i, a)
		})
	}
	return g.Wait()
}
