package main

import (
	"math/bits"
	"time"
)

const (
	subBits    = 6 // a bucket is 1/64 as wide as its values are large: that exact are quantiles
	subBuckets = 1 << subBits
)

// latencies is a histogram of times. It is used by one goroutine.
type latencies struct {
	counts [(64 - subBits + 1) * subBuckets]uint64
	n      uint64
	worst  time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.counts[bucketOf(d)]++
	l.n++
	l.worst = max(l.worst, d)
}

// merge adds all of another histogram.
func (l *latencies) merge(o *latencies) {
	for i, n := range o.counts {
		l.counts[i] += n
	}
	l.n += o.n
	l.worst = max(l.worst, o.worst)
}

// quantile gives the time that a part q of all did not exceed.
func (l *latencies) quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.n))
	for i, n := range l.counts {
		if n > rank {
			return min(bucketEnd(i), l.worst)
		}
		rank -= n
	}
	return l.worst
}

// above counts those that took longer, to the width of a bucket.
func (l *latencies) above(d time.Duration) (n uint64) {
	for _, c := range l.counts[bucketOf(d)+1:] {
		n += c
	}
	return n
}

// bucketOf numbers buckets: one for each nanosecond at first, then as many for each
// doubling.
func bucketOf(d time.Duration) int {
	ns := uint64(max(d, 0))
	shift := max(bits.Len64(ns)-subBits-1, 0)
	return shift<<subBits + int(ns>>shift)
}

// bucketEnd is the longest time of a bucket.
func bucketEnd(i int) time.Duration {
	if i < 2*subBuckets {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	return time.Duration((uint64(i-shift<<subBits)+1)<<shift - 1)
}

// latency notes the quantiles of a histogram.
func (r *result) latency(name string, l *latencies) {
	for _, q := range []struct {
		name string
		part float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}} {
		r.cost(name+"/"+q.name, "us", micros(l.quantile(q.part)))
	}
	r.show(name+"/p90", "us", micros(l.quantile(0.9)))
	r.show(name+"/p99.99", "us", micros(l.quantile(0.9999)))
	r.show(name+"/worst", "us", micros(l.worst))
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
