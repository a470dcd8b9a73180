package main

import (
	"bytes"
	"fmt"
	"slices"
)

const (
	queueLength = 10_000 // rows waiting in the queue at any time
	queueTenths = 10
)

// queue inserts at the tail of a queue, deletes at its head, and now and then seeks
// the head with a fresh iterator. It notes the median and the worst latency of the
// seeks in each tenth of the run. Flushes and compactions happen when the stores
// think fit. Nothing old is kept.
func queue(p peer, r *result, n deleteSizes) error { return runQueue(p, r, n, false) }

// queueOldFork is the same, with the state before the first delete kept alive.
func queueOldFork(p peer, r *result, n deleteSizes) error { return runQueue(p, r, n, true) }

func runQueue(p peer, r *result, n deleteSizes, keepOld bool) error {
	q := queueState{p: p}
	if err := q.fill(); err != nil {
		return err
	}
	if keepOld {
		if err := p.keepOld(); err != nil {
			return err
		}
	}
	tenths := make([][]float64, queueTenths)
	seconds := 0.0
	for i := range n.queueSeeks {
		c := startClock()
		if err := q.pass(n.queueOps / n.queueSeeks / 2); err != nil {
			return err
		}
		seconds += c.lap()
		took, err := q.seekHead()
		if err != nil {
			return err
		}
		tenth := i * queueTenths / n.queueSeeks
		tenths[tenth] = append(tenths[tenth], took*1e6)
	}
	r.cost("operation", "ns/op", seconds*1e9/float64(n.queueOps))
	noteSeeks(r, tenths)
	if err := r.answer(p, "the queue", false, queueLength); err != nil {
		return err
	}
	if keepOld {
		return r.answer(p, "the old state", true, queueLength)
	}
	return nil
}

// noteSeeks notes the seeks of each tenth of a run, and of all of it.
func noteSeeks(r *result, tenths [][]float64) {
	var all []float64
	for i, s := range tenths {
		slices.Sort(s)
		r.show(fmt.Sprintf("head-seek/tenth-%02d/median", i+1), "us", percentile(s, 50))
		r.show(fmt.Sprintf("head-seek/tenth-%02d/worst", i+1), "us", s[len(s)-1])
		all = append(all, s...)
	}
	first, last := percentile(tenths[0], 50), percentile(tenths[len(tenths)-1], 50)
	slices.Sort(all)
	r.cost("head-seek/median", "us", percentile(all, 50))
	r.cost("head-seek/worst", "us", all[len(all)-1])
	r.show("head-seek/last-tenth-vs-first", "ratio", last/first)
}

// queueState is a queue whose rows are numbered from head to tail.
type queueState struct {
	p          peer
	head, tail int
	values     [][]byte
	k, got     []byte
}

func (q *queueState) key(i int) []byte {
	q.k = hexKey(q.k, uint64(i))
	return q.k
}

// fill brings the queue to its length.
func (q *queueState) fill() error {
	for range 1024 {
		q.values = append(q.values, value(nil, len(q.values), "queue"))
	}
	return inBatches(q.p, queueLength, func(int) { q.insert() })
}

// pass lets a number of rows in at the tail and as many out at the head, in small
// batches.
func (q *queueState) pass(rows int) error {
	const batch = 100
	for done := 0; done < rows; done += batch {
		for range batch {
			q.insert()
			q.p.del(q.key(q.head))
			q.head++
		}
		if err := q.p.commit(); err != nil {
			return err
		}
	}
	return nil
}

func (q *queueState) insert() {
	q.p.set(q.key(q.tail), q.values[q.tail%len(q.values)])
	q.tail++
}

// seekHead gives the seconds that it takes to find the head.
func (q *queueState) seekHead() (float64, error) {
	c := startClock()
	got, err := q.p.seek(q.got, nil)
	took := c.lap()
	if err != nil {
		return 0, err
	}
	q.got = got
	if want := q.key(q.head); !bytes.Equal(got, want) {
		return 0, fmt.Errorf("the head is %q, not %q", got, want)
	}
	return took, nil
}
