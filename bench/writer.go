package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/tinedb/tine/engine"
)

// writeUntil writes a row every half millisecond until done, and notes how long the
// writes took.
func writeUntil(f *engine.Fork, done <-chan error, out *figures, name string) error {
	var took []float64
	var k, v []byte
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				out.add(fmt.Sprintf("%s/p%d", name, p), "us", percentile(took, p)*1e6)
			}
			out.add(name+"/worst", "us", took[len(took)-1]*1e6)
			return nil
		case <-tick.C:
		}
		k, v = key(k, i), value(v, i, "writer")
		c := startClock()
		if err := f.Set(k, v, engine.NoSync); err != nil {
			return err
		}
		took = append(took, c.lap())
	}
}
