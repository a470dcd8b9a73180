package main

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tinedb/tine/engine"
)

// forkClients lets one client, and many at once, make forks of one parent, and notes
// how many a second come about.
func forkClients(out *figures, b bed, forks, round int) error {
	for _, c := range []struct {
		name    string
		clients int
		sync    bool
		forks   int
	}{
		{"clients-1/sync", 1, true, forks / 16},
		{"clients-256/sync", 256, true, forks},
		{"clients-1/nosync", 1, false, 10 * forks},
		{"clients-256/nosync", 256, false, 10 * forks},
	} {
		label := fmt.Sprintf("c%d-%d-%v", round, c.clients, c.sync)
		seconds, err := forkAtOnce(b.main, label, c.clients, c.forks, c.sync)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		out.add("fork/"+c.name+"/rate", "forks/s", float64(c.forks)/seconds)
		if err := dropAtOnce(b, label, c.clients, c.forks); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// forkAtOnce makes forks by several clients and gives the seconds that it took.
func forkAtOnce(parent *engine.Fork, label string, clients, forks int, sync bool) (float64, error) {
	opts := syncOption(sync)
	c := startClock()
	err := atOnce(clients, forks, func(i int) error {
		_, err := parent.Fork(fmt.Sprintf("%s-%d", label, i), opts...)
		return err
	})
	return c.lap(), err
}

// dropAtOnce drops what forkAtOnce has made: all must be there.
func dropAtOnce(b bed, label string, clients, forks int) error {
	err := atOnce(clients, forks, func(i int) error {
		f, err := b.store.Fork(fmt.Sprintf("%s-%d", label, i))
		if err != nil {
			return err
		}
		return f.Drop(engine.NoSync)
	})
	if err != nil {
		return err
	}
	if s := b.store.Stats(); s.Forks != 1 {
		return fmt.Errorf("%d forks are left", s.Forks)
	}
	return b.store.Settle()
}

// atOnce does n things in several goroutines.
func atOnce(goroutines, n int, do func(i int) error) error {
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n && errs[g] == nil; i += goroutines {
				errs[g] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
