package fuzz

import (
	"runtime"
	"sync"
)

// parallel does do(0), do(1), … do(n-1) on every processor and gives the error of
// the first of them that failed. After a failure no more are begun.
func parallel(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, errs := 0, make([]error, n)
	take := func(err error, i int) int {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs[i], next = err, n
		}
		next++
		return next - 1
	}
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := take(nil, 0); i < n; {
				i = take(do(i), i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
