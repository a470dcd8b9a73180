package main

import "time"

// clock measures the time since it was last asked, in seconds.
type clock struct{ last time.Time }

func startClock() *clock { return &clock{time.Now()} }

func (c *clock) lap() float64 {
	now := time.Now()
	took := now.Sub(c.last).Seconds()
	c.last = now
	return took
}
