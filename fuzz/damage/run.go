package damage

import (
	"fmt"
	"iter"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/fuzz"
)

// The limits of one case. The time is generous, because the machine may be busy:
// it is there to tell a hang from a slow day.
const (
	maxCaseBytes = 64 << 20
	hangAfter    = 60 * time.Second
)

// job is one case and its number.
type job struct {
	c Case
	n uint64
}

// Run judges every stride-th of the cases, on all processors, and gives the
// first failure.
func (s *Specimen) Run(cases iter.Seq[Case], stride uint64, counts *fuzz.Counts) error {
	jobs := make(chan job, 64)
	var wg sync.WaitGroup
	var failure atomic.Pointer[error]
	limits := &limits{}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for j := range jobs {
				if failure.Load() != nil {
					continue
				}
				if err := limits.judge(s, j, counts); err != nil {
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	var n uint64
	for c := range cases {
		if n++; n%stride == 0 {
			jobs <- job{c, n / stride}
		}
		if failure.Load() != nil {
			break
		}
	}
	close(jobs)
	wg.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

// limits sees to it that no case takes for ever or allocates without bound.
// What is allocated is only known of the whole process, so a case that seems to
// be over the limit is repeated alone.
type limits struct{ alone sync.RWMutex }

func (l *limits) judge(s *Specimen, j job, counts *fuzz.Counts) error {
	hang := time.AfterFunc(hangAfter, func() {
		panic(fmt.Sprintf("%s store, %s, %s: still running after %v", s.Name, j.c.Damage, j.c.Where, hangAfter))
	})
	defer hang.Stop()
	l.alone.RLock()
	before := allocated()
	err := s.Judge(j.c, j.n, counts)
	used := allocated() - before
	l.alone.RUnlock()
	if err != nil || used <= maxCaseBytes {
		return err
	}
	l.alone.Lock()
	defer l.alone.Unlock()
	before = allocated()
	err = s.Judge(j.c, j.n, fuzz.NewCounts())
	if used = allocated() - before; err == nil && used > maxCaseBytes {
		err = fmt.Errorf("%s store, %s, %s: allocates %d bytes", s.Name, j.c.Damage, j.c.Where, used)
	}
	return err
}

// allocated is how many bytes the process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
