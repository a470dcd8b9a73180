package engine

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// latencyBuckets is how many durations LatencyBound tells apart, and one more
// bucket for those above.
const latencyBuckets = 22

// Latency is how long something took, each time since the store was opened.
// Bucket i counts what took at most LatencyBound(i) and more than the bound
// before; the last bucket has no bound.
type Latency struct {
	Count   uint64
	Sum     time.Duration
	Buckets [latencyBuckets + 1]uint64
}

// LatencyBound is the upper bound of a bucket: 8 microseconds, and twice as much
// for each further one, up to 16.8 seconds.
func LatencyBound(bucket int) time.Duration { return 8 * time.Microsecond << bucket }

// histogram is a Latency that is being counted, without a lock. Its buckets are
// read one by one, so a snapshot may lack what is being counted meanwhile.
type histogram struct {
	sum     atomic.Int64
	buckets [latencyBuckets + 1]atomic.Uint64
}

func (h *histogram) since(begun time.Time) { h.observe(time.Since(begun)) }

func (h *histogram) observe(d time.Duration) {
	h.sum.Add(int64(d))
	h.buckets[bucketOf(d)].Add(1)
}

// bucketOf is the first bucket whose bound is not below d.
func bucketOf(d time.Duration) int {
	if d <= LatencyBound(0) {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/LatencyBound(0))), latencyBuckets)
}

func (h *histogram) latency() Latency {
	out := Latency{Sum: time.Duration(h.sum.Load())}
	for i := range h.buckets {
		out.Buckets[i] = h.buckets[i].Load()
		out.Count += out.Buckets[i]
	}
	return out
}
