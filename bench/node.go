package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// nodeSizes says how many calls there are of each kind, for the number of clients.
type nodeSizes struct {
	rows    int
	calls   map[int]int // of reads and of what is not durable
	durable map[int]int
}

// nodeSuite measures a node over loopback, in this process: single calls by several
// clients, each with a connection of its own, batches, and a scan; and the same calls
// against the floor, which is a server of the same library that does nothing, and, where
// it is installed, against redis-server. How much of a call the engine takes is said
// beside it.
func nodeSuite(cfg config, out *figures) (err error) {
	n := nodeSizes{rows: 1_000_000, calls: map[int]int{1: 20_000, 16: 50_000, 64: 50_000}, durable: map[int]int{1: 2000, 16: 20_000, 64: 30_000}}
	if cfg.quick {
		n = nodeSizes{rows: 50_000, calls: map[int]int{1: 1000, 16: 2500, 64: 2500}, durable: map[int]int{1: 100, 16: 600, 64: 1000}}
	}
	dir := filepath.Join(cfg.dir, "node")
	defer os.RemoveAll(dir)
	own, err := startOwnNode(dir, cfg.memory(), n.rows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.stop()) }()
	out.note("node/settings/tine", tineSettings(cfg.memory())+"; limits at their defaults; plain connections")
	floor, err := startFloor(n.rows)
	if err != nil {
		return err
	}
	defer floor.stop()
	b := nodeBench{cfg: cfg, out: out, n: n, own: own, floor: floor}
	for _, fsync := range []string{"no", "always"} {
		r, err := startRedis(filepath.Join(cfg.dir, "redis-"+fsync), fsync, n.rows)
		if errors.Is(err, errNoRedis) {
			progress("node: redis-server is not installed; nothing is compared with it")
			break
		}
		if err != nil {
			return err
		}
		defer r.stop()
		out.note("node/settings/redis-"+fsync, r.settings())
		b.redis = append(b.redis, r)
	}
	for round := range cfg.rounds {
		c := startClock()
		if err := b.round(round); err != nil {
			return err
		}
		progress("node, round %d of %d: %.1f s", round+1, cfg.rounds, c.lap())
	}
	return own.check(n.rows)
}

// rpcServer is something that clients connect to.
type rpcServer interface {
	name() string
	connect() (rpcClient, error)
	stop() error
}

// rpcClient is one client with a connection of its own, used by one goroutine.
type rpcClient interface {
	get(ctx context.Context, key []byte) ([]byte, error)
	set(ctx context.Context, key, value []byte, sync bool) error
	close() error
}

// forkClient is a client of a node.
type forkClient interface {
	rpcClient
	batch(ctx context.Context, rows, from, version int, sync bool) error
	fork(ctx context.Context, name string, sync bool) error
	scan(ctx context.Context, t *tally) error
}

// nodeBench is a run of the suite.
type nodeBench struct {
	cfg   config
	out   *figures
	n     nodeSizes
	own   *ownNode
	floor *floorServer
	redis []*redisServer // with appendfsync no, and always; or none
}

// call is one call number i, by a client.
type call func(ctx context.Context, c rpcClient, i int) error

const (
	batchOps  = 100
	manyCalls = 16 // clients of batches
)

// round measures each case on all servers, who is first changing from round to round.
func (b nodeBench) round(round int) error {
	version := round + 1
	get := func(ctx context.Context, c rpcClient, i int) error {
		row := int(mix(uint64(i)) % uint64(b.n.rows))
		v, err := c.get(ctx, key(nil, row))
		if err != nil {
			return err
		}
		if _, fixed := c.(*floorClient); fixed {
			return nil
		}
		if got, _ := rowOf(v); len(v) != valueBytes || got != row {
			return fmt.Errorf("row %d has %d bytes, those of row %d", row, len(v), got)
		}
		return nil
	}
	set := func(sync bool) call {
		return func(ctx context.Context, c rpcClient, i int) error {
			row := int(mix(uint64(i)) % uint64(b.n.rows))
			return c.set(ctx, key(nil, row), newRow(nil, row, version), sync)
		}
	}
	fork := func(sync bool) call {
		return func(ctx context.Context, c rpcClient, i int) error {
			return c.(forkClient).fork(ctx, fmt.Sprintf("fork-%d", i), sync)
		}
	}
	batch := func(sync bool) call {
		return func(ctx context.Context, c rpcClient, i int) error {
			return c.(forkClient).batch(ctx, b.n.rows, i*batchOps, version, sync)
		}
	}
	for _, clients := range []int{1, 16, 64} {
		for _, c := range []struct {
			name  string
			calls int
			do    call
			redis int // of b.redis; -1: it has no such thing
		}{
			{"get", b.n.calls[clients], get, 0},
			{"set-unsynced", b.n.calls[clients], set(false), 0},
			{"set-synced", b.n.durable[clients], set(true), 1},
			{"fork-unsynced", b.n.calls[clients], fork(false), -1},
			{"fork-synced", b.n.durable[clients], fork(true), -1},
		} {
			name := fmt.Sprintf("node/%s/clients-%d", c.name, clients)
			if err := b.measure(name, round, clients, c.calls, 1, c.do, c.redis); err != nil {
				return err
			}
		}
	}
	for _, c := range []struct {
		name  string
		calls int
		do    call
	}{
		{"batch-of-100-unsynced", b.n.calls[manyCalls] / 10, batch(false)},
		{"batch-of-100-synced", b.n.durable[manyCalls] / 2, batch(true)},
	} {
		name := fmt.Sprintf("node/%s/clients-%d", c.name, manyCalls)
		if err := b.measure(name, round, manyCalls, c.calls, batchOps, c.do, -1); err != nil {
			return err
		}
	}
	return b.measureScan(round)
}

// measure lets clients make calls of one kind on each server, and notes the rate, the
// latencies, and the engine's part of our node's.
func (b nodeBench) measure(name string, round, clients, calls, rowsEach int, do call, redis int) error {
	servers := []rpcServer{b.own, b.floor}
	if redis >= 0 && redis < len(b.redis) {
		servers = append(servers, b.redis[redis])
	}
	rates := make([]float64, len(servers))
	for turn := range servers {
		i := (turn + round) % len(servers)
		b.own.watched.reset()
		rate, took, err := callAll(servers[i], clients, calls, do)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, servers[i].name(), err)
		}
		rates[i] = rate * float64(rowsEach)
		unit := "calls/s"
		if rowsEach > 1 {
			unit = "rows/s"
		}
		b.out.add(name+"/throughput/"+servers[i].name(), unit, rates[i])
		var r result
		r.latency(name, took)
		for _, c := range r.costs {
			b.out.add(c.name+"/"+servers[i].name(), c.unit, c.value)
		}
		if i == 0 {
			engine, took := b.own.watched.means()
			b.out.add(name+"/in-the-engine", "us", engine)
			b.out.add(name+"/in-the-server", "us", took)
			b.out.add(name+"/engine-share", "ratio", engine*rate/1e6/float64(clients))
			if err := b.own.dropForks(); err != nil {
				return err
			}
		}
	}
	for i, s := range servers[1:] {
		b.out.add(name+"/throughput/vs-"+s.name(), "ratio", rates[0]/rates[i+1])
	}
	return nil
}

// callAll lets clients share so many calls out among themselves, and gives how many were
// done in a second and how long each took.
func callAll(s rpcServer, clients, calls int, do call) (rate float64, all *latencies, err error) {
	ctx := context.Background()
	conns := make([]rpcClient, clients)
	took := make([]latencies, clients)
	for i := range conns {
		if conns[i], err = s.connect(); err != nil {
			return 0, nil, err
		}
		defer func() { err = errors.Join(err, conns[i].close()) }()
	}
	c := startClock()
	err = inTurns(clients, calls, func(worker int, next func() (int, bool)) error {
		at := time.Now()
		for i, ok := next(); ok; i, ok = next() {
			if err := do(ctx, conns[worker], i); err != nil {
				return err
			}
			now := time.Now()
			took[worker].add(now.Sub(at))
			at = now
		}
		return nil
	})
	seconds := c.lap()
	for i := range took[1:] {
		took[0].merge(&took[i+1])
	}
	return float64(calls) / seconds, &took[0], err
}

// measureScan scans all rows by one client, and the floor's as many.
func (b nodeBench) measureScan(round int) error {
	servers := []rpcServer{b.own, b.floor}
	rates := make([]float64, len(servers))
	for turn := range servers {
		i := (turn + round) % len(servers)
		c, err := servers[i].connect()
		if err != nil {
			return err
		}
		var t tally
		clock := startClock()
		err = c.(forkClient).scan(context.Background(), &t)
		seconds := clock.lap()
		if err := errors.Join(err, c.close()); err != nil {
			return fmt.Errorf("scan: %s: %w", servers[i].name(), err)
		}
		if t.rows != b.n.rows || t.bytes != t.rows*(keyBytes+valueBytes) {
			return fmt.Errorf("scan: %s gives %d rows, %d bytes", servers[i].name(), t.rows, t.bytes)
		}
		rates[i] = float64(t.rows) / seconds
		b.out.add("node/scan/throughput/"+servers[i].name(), "rows/s", rates[i])
		b.out.add("node/scan/bytes/"+servers[i].name(), "MB/s", float64(t.bytes)/seconds/1e6)
	}
	b.out.add("node/scan/throughput/vs-floor", "ratio", rates[0]/rates[1])
	return nil
}
