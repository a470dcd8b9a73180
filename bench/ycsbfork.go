package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tinedb/tine/engine"
)

const (
	ycsbDepth  = 64
	stepWrites = 100 // rows that each fork on the way down rewrites
)

// deepener is a peer that can go on in a fork far down, or do what comes nearest to it.
type deepener interface {
	// deepen rewrites some rows, as they are, in each fork of a chain, and goes on in
	// its last. It gives the way into that fork's parent.
	deepen(rows []int) (parent client, err error)
}

// ycsbInFork runs plans in a fork, while its parent is written at a steady pace. Pebble
// has no forks: there the same rows are rewritten, the workload goes on where it was,
// and another part of the same keyspace is written meanwhile.
func ycsbInFork(cfg config, out *figures, m match, round int, workload string, n ycsbSizes, plans [][]step) error {
	m.field = contestants
	m.memory = n.memory(1)
	name := fmt.Sprintf("ycsb/fork-%d/%s", ycsbDepth, workload)
	err := m.play(cfg, out, name, round, func(p peer, r *result) error {
		parent, err := p.(deepener).deepen(randomRows(80, ycsbDepth*stepWrites, n.rows))
		if err != nil {
			return err
		}
		if _, err := p.settle(); err != nil {
			return err
		}
		stop, done := make(chan struct{}), make(chan error)
		go func() { done <- keepWriting(parent, n.rows, stop) }()
		err = runPlans(p, r, n, plans)
		close(stop)
		return errors.Join(err, <-done, parent.close())
	})
	if err != nil {
		return err
	}
	shallow, deep := out.last("ycsb/1x/"+workload+"/throughput/tine"), out.last(name+"/throughput/tine")
	out.add(name+"/throughput/vs-depth0", "ratio", shallow/deep)
	return nil
}

// keepWriting writes a random row every half millisecond.
func keepWriting(c client, rows int, stop chan struct{}) error {
	random := rand.New(rand.NewPCG(81, 82))
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	var k, v []byte
	for version := 1; ; version++ {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		row := random.IntN(rows)
		k, v = key(k, row), newRow(v, row, version)
		if err := c.put(k, v, false); err != nil {
			return err
		}
	}
}

func (p *tinePeer) deepen(rows []int) (client, error) {
	var parent *engine.Fork
	for step := range ycsbDepth {
		parent = p.main
		var err error
		if p.main, err = parent.Fork(fmt.Sprintf("depth-%d", step+1), engine.NoSync); err != nil {
			return nil, err
		}
		some := rows[step*stepWrites : (step+1)*stepWrites]
		if err := setRows(p, len(some), func(i int) (row, version int) { return some[i], 0 }); err != nil {
			return nil, err
		}
	}
	return tineClient{parent}, nil
}

// apart is the prefix of keys behind all others.
const apart = 'z'

func (p *pebblePeer) deepen(rows []int) (client, error) {
	p.end = []byte{apart}
	return apartClient{p.client()}, setRows(p, len(rows), func(i int) (row, version int) { return rows[i], 0 })
}

// apartClient writes behind all other rows.
type apartClient struct{ client }

func (c apartClient) put(key, value []byte, sync bool) error {
	return c.client.put(append([]byte{apart}, key...), value, sync)
}
