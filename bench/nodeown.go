package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	remote "github.com/tinedb/tine/cmd/rpc/client"
	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
)

// ownNode is our node over a store of some rows.
type ownNode struct {
	store   *engine.Store
	server  *server.Server
	addr    string
	served  chan error
	watched *callWatch
}

func startOwnNode(dir string, m memory, rows int) (_ *ownNode, err error) {
	p, err := openTineWith(dir, tineOptions(m))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := setRows(p, rows, func(i int) (row, version int) { return i, 0 }); err != nil {
		return nil, err
	}
	if err := rest(p); err != nil {
		return nil, err
	}
	n := &ownNode{store: p.store, served: make(chan error, 1), watched: &callWatch{}}
	if n.server, err = server.New(p.store, server.Options{Auth: server.Everybody, Observer: n.watched}); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.addr = l.Addr().String()
	go func() { n.served <- n.server.Serve(l) }()
	return n, nil
}

func (n *ownNode) name() string { return "tine" }

func (n *ownNode) connect() (rpcClient, error) { return dialNode(n.addr) }

func (n *ownNode) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(n.server.Shutdown(ctx), <-n.served, n.store.Close())
}

// dropForks drops what clients have forked, as many at once as may be.
func (n *ownNode) dropForks() error {
	for {
		var forks []*engine.Fork
		for _, info := range n.store.ListForks(engine.ListOptions{Prefix: "fork-", Limit: engine.MaxDropMany}) {
			f, err := n.store.Fork(info.Name)
			if err != nil {
				return err
			}
			forks = append(forks, f)
		}
		if len(forks) == 0 {
			return nil
		}
		if err := n.store.DropForks(forks, engine.NoSync); err != nil {
			return err
		}
	}
}

// check looks at what is left in the store: all rows, and no forks but the node's own.
func (n *ownNode) check(rows int) error {
	f, err := n.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	seen := 0
	all, failed := f.Scan(engine.Range{})
	for k, v := range all {
		row, _ := rowOf(v)
		if string(key(nil, row)) != string(k) {
			return fmt.Errorf("key %q has the value of row %d", k, row)
		}
		seen++
	}
	if err := failed(); err != nil {
		return err
	}
	if seen != rows {
		return fmt.Errorf("%d rows are left of %d", seen, rows)
	}
	for _, f := range n.store.Forks() {
		if f.Name != engine.MainFork && !strings.HasPrefix(f.Name, server.SystemPrefix) {
			return fmt.Errorf("fork %q is left", f.Name)
		}
	}
	return nil
}

// callWatch adds up what calls took.
type callWatch struct{ calls, engine, took atomic.Int64 }

func (w *callWatch) Started(string) {}

func (w *callWatch) Refused(server.Limit) {}

func (w *callWatch) Done(e server.Event) {
	if e.Code != codes.OK || e.Method == "GetFork" {
		return // which connecting asks for
	}
	w.calls.Add(1)
	w.engine.Add(int64(e.Engine))
	w.took.Add(int64(e.Took))
}

func (w *callWatch) reset() {
	w.calls.Store(0)
	w.engine.Store(0)
	w.took.Store(0)
}

// means gives the mean microseconds of a call in the engine, and in the server with it.
func (w *callWatch) means() (engine, took float64) {
	n := float64(max(w.calls.Load(), 1)) * 1000
	return float64(w.engine.Load()) / n, float64(w.took.Load()) / n
}

// nodeClient is a client of a node, or of what looks like one.
type nodeClient struct {
	c    *remote.Client
	main *remote.Fork
}

func dialNode(addr string) (*nodeClient, error) {
	c, err := remote.Dial(addr, remote.Options{})
	if err != nil {
		return nil, err
	}
	f, err := c.Fork(context.Background(), engine.MainFork)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &nodeClient{c, f}, nil
}

func (c *nodeClient) get(ctx context.Context, key []byte) ([]byte, error) {
	return c.main.Get(ctx, key)
}

func (c *nodeClient) set(ctx context.Context, key, value []byte, sync bool) error {
	return c.main.Set(ctx, key, value, syncOption(sync)...)
}

func (c *nodeClient) fork(ctx context.Context, name string, sync bool) error {
	_, err := c.main.Fork(ctx, name, syncOption(sync)...)
	return err
}

// batch overwrites rows, of so many, from some on.
func (c *nodeClient) batch(ctx context.Context, rows, from, version int, sync bool) error {
	b := c.c.NewBatch()
	for i := range batchOps {
		row := int(mix(uint64(from+i)) % uint64(rows))
		b.Set(c.main, key(nil, row), newRow(nil, row, version))
	}
	return b.Commit(ctx, syncOption(sync)...)
}

func (c *nodeClient) scan(ctx context.Context, t *tally) error {
	rows, failed := c.main.Scan(ctx, engine.Range{})
	for k, v := range rows {
		t.add(k, v)
	}
	return failed()
}

func (c *nodeClient) close() error { return c.c.Close() }
