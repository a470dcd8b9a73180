package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tinedb/tine/cmd/rpc/client"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// remote is a node's store.
type remote struct {
	c   *client.Client
	ctx context.Context
}

var _ target = (*remote)(nil)

// connection is the flags that say how a node is reached.
type connection struct {
	addr           string
	ca, cert, key  string
	tokenFile      string
	secured, plain bool
}

// dial connects to the node that --addr names. It does not wait for it.
func (a *app) dial() (target, error) {
	o := client.Options{PlainToken: isLoopback(a.node.addr) || a.node.plain}
	var err error
	if o.TLS, err = a.node.tls(); err != nil {
		return nil, err
	}
	if o.Token, err = a.node.token(); err != nil {
		return nil, err
	}
	if o.Token != "" && o.TLS == nil && !o.PlainToken {
		return nil, usagef("a token goes over TLS only, or others could read it: give --tls or --tls-ca, or --insecure-plaintext")
	}
	c, err := client.Dial(a.node.addr, o)
	if err != nil {
		return nil, usagef("--addr %s: %v", quote(a.node.addr), err)
	}
	return &remote{c, a.ctx}, nil
}

// tls gives what a secure connection needs, nil for a plain one.
func (n *connection) tls() (*tls.Config, error) {
	if !n.secured && n.ca == "" && n.cert == "" && n.key == "" {
		return nil, nil
	}
	if (n.cert == "") != (n.key == "") {
		return nil, usagef("--tls-client-cert and --tls-client-key belong together")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if n.ca != "" {
		pem, err := os.ReadFile(n.ca)
		if err != nil {
			return nil, fmt.Errorf("read --tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--tls-ca: %s holds no certificate", n.ca)
		}
	}
	if n.cert != "" {
		pair, err := tls.LoadX509KeyPair(n.cert, n.key)
		if err != nil {
			return nil, fmt.Errorf("read --tls-client-cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// token gives the token of the file, or of the environment: a flag would be seen by
// everybody who lists processes.
func (n *connection) token() (string, error) {
	if n.tokenFile == "" {
		return strings.TrimSpace(os.Getenv("TINE_TOKEN")), nil
	}
	text, err := os.ReadFile(n.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read --token-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (r *remote) Close() error { return r.c.Close() }

func (r *remote) Fork(name string) (forkspace, error) {
	f, err := r.c.Fork(r.ctx, name)
	switch {
	case errors.Is(err, wire.ErrDenied):
		f = r.c.Handle(name, 0) // who may not read a fork may be one who may write to it
	case err != nil:
		return nil, err
	}
	return r.fork(f), nil
}

func (r *remote) fork(f *client.Fork) forkspace { return remoteFork{remoteSpace{r, f}, f} }

func (r *remote) Snapshot(name string) (keyspace, error) {
	n, err := r.snapshot(name)
	if err != nil {
		return nil, err
	}
	return remoteSpace{r, n}, nil
}

func (r *remote) snapshot(name string) (*client.Snapshot, error) {
	n, err := r.c.Snapshot(r.ctx, name)
	if errors.Is(err, wire.ErrDenied) {
		return r.c.SnapshotHandle(name, 0), nil // who may not read it may be one who may drop it
	}
	return n, err
}

func (r *remote) ListForks(o engine.ListOptions) ([]engine.ForkInfo, error) {
	return r.c.ListForks(r.ctx, o)
}

func (r *remote) Snapshots() ([]engine.SnapshotInfo, error) { return r.c.Snapshots(r.ctx) }

// WouldDrop asks the node, which tells who may drop forks but not read them how many
// there are. Of more than go at once it tells nothing: they are listed.
func (r *remote) WouldDrop(what selection) (*doomed, error) {
	ask := client.Doomed{Prefix: what.prefix}
	for _, name := range what.names {
		ask.Forks = append(ask.Forks, r.c.Handle(name, 0))
	}
	if what.subtree != "" {
		ask.Subtree = r.c.Handle(what.subtree, 0)
	}
	forks, count, err := r.c.WouldDrop(r.ctx, ask)
	if errors.Is(err, engine.ErrLimit) {
		return listDoomed(r, what)
	}
	if err != nil {
		return nil, err
	}
	if what.subtree == "" && what.prefix == "" { // in the order in which they are named
		place := make(map[string]int, count)
		for i, name := range what.names {
			place[name] = i
		}
		slices.SortFunc(forks, func(a, b engine.ForkInfo) int { return cmp.Compare(place[a.Name], place[b.Name]) })
	}
	return &doomed{what, forks, count - len(forks)}, what.check(count)
}

// DropForks drops by name and id: one that was made anew meanwhile stays. Forks that the
// node does not tell of have neither, and go by what selects them.
func (r *remote) DropForks(d *doomed) (dropped int, err error) {
	switch {
	case d.hidden > 0 && d.what.prefix != "":
		return r.c.DropPrefix(r.ctx, d.what.prefix)
	case d.hidden > 0:
		root := r.c.Handle(d.what.subtree, 0)
		for _, f := range d.forks {
			if f.Name == d.what.subtree {
				root = r.c.Handle(f.Name, f.ID)
			}
		}
		return root.DropSubtree(r.ctx)
	}
	for some := range slices.Chunk(d.forks, engine.MaxDropMany) {
		forks := make([]*client.Fork, len(some))
		for i, f := range some {
			forks[i] = r.c.Handle(f.Name, f.ID)
		}
		if err := r.c.DropForks(r.ctx, forks); err != nil {
			return dropped, err
		}
		dropped += len(some)
	}
	return dropped, nil
}

// LeavesNone is for the node to say: there may be forks that this caller does not see.
func (r *remote) LeavesNone(int) (bool, error) { return false, nil }

func (r *remote) DropSnapshot(name string) error {
	n, err := r.snapshot(name)
	if err != nil {
		return err
	}
	return n.Drop(r.ctx)
}

func (r *remote) DrawTree(w io.Writer) error { return r.c.DrawTree(r.ctx, w) }

func (r *remote) Stats() (engine.Stats, error) { return r.c.Stats(r.ctx) }

// Settle does not wait: a node gives space back by itself, and who may drop a fork need
// not be one who may ask the node for more.
func (r *remote) Settle() error { return nil }

func (r *remote) Check(level engine.CheckLevel) (*engine.CheckReport, error) {
	return r.c.Check(r.ctx, level, nil)
}

func (r *remote) Backup(to engine.BackupSink, o engine.BackupOptions) (*engine.BackupReport, error) {
	return r.c.Backup(r.ctx, to, o)
}

// remoteSpace is a fork or a snapshot of it.
type remoteSpace struct {
	r    *remote
	from interface {
		client.Source
		Get(ctx context.Context, key []byte) ([]byte, error)
		NewIter(context.Context, engine.Range, ...client.ScanOption) (*client.Iterator, error)
		ForkMany(ctx context.Context, names []string, opts ...engine.WriteOption) ([]*client.Fork, error)
	}
}

func (s remoteSpace) Get(key []byte) ([]byte, error) { return s.from.Get(s.r.ctx, key) }

func (s remoteSpace) Rows(r engine.Range) (tree.Rows, error) { return s.Scan(r, false, 0) }

func (s remoteSpace) Scan(r engine.Range, keysOnly bool, limit int) (scanRows, error) {
	opts := []client.ScanOption{client.Limit(limit)}
	if keysOnly {
		opts = append(opts, client.KeysOnly)
	}
	it, err := s.from.NewIter(s.r.ctx, r, opts...)
	if err != nil {
		return nil, err
	}
	if _, still := s.from.(*client.Snapshot); still {
		return stillRows{it}, nil
	}
	return it, nil
}

// stillRows are rows that do not change, and so are of one moment however often the scan
// is resumed: they do not tell of it.
type stillRows struct{ scanRows }

func (s remoteSpace) ForkMany(names []string) ([]forkspace, error) {
	made, err := s.from.ForkMany(s.r.ctx, names)
	forks := make([]forkspace, len(made))
	for i, f := range made {
		forks[i] = s.r.fork(f)
	}
	return forks, err
}

// remoteFork is a fork of it.
type remoteFork struct {
	remoteSpace
	f *client.Fork
}

func (f remoteFork) ID() uint64                     { return f.f.ID() }
func (f remoteFork) Name() string                   { return f.f.Name() }
func (f remoteFork) Info() (engine.ForkInfo, error) { return f.f.Info(f.r.ctx) }
func (f remoteFork) Sync() error                    { return f.r.c.Sync(f.r.ctx) }

func (f remoteFork) Write(fill func(tree.Batch)) error {
	b := remoteBatch{f.r.c.NewBatch(), f, nil}
	fill(b)
	return b.Commit()
}

func (f remoteFork) DeleteRange(r engine.Range) error {
	return f.f.DeleteRange(f.r.ctx, r.Lower, r.Upper)
}

func (f remoteFork) Rename(name string) error { return f.f.Rename(f.r.ctx, name) }

func (f remoteFork) Reset(to keyspace) error {
	switch to := to.(type) {
	case remoteFork:
		return f.f.Reset(f.r.ctx, to.f)
	case remoteSpace:
		return f.f.Reset(f.r.ctx, to.from)
	}
	return errors.ErrUnsupported
}

func (f remoteFork) Snapshot(name string) (uint64, error) {
	n, err := f.f.Snapshot(f.r.ctx, name)
	if err != nil {
		return 0, err
	}
	return n.ID(), nil
}

// NewBatch makes a batch that is committed unsynced.
func (f remoteFork) NewBatch() tree.Batch {
	return remoteBatch{f.r.c.NewBatch(), f, []engine.WriteOption{engine.NoSync}}
}

// BatchBytes leaves some of a node's smallest message to what stands around the rows.
func (f remoteFork) BatchBytes() int { return 3 << 20 }

type remoteBatch struct {
	*client.Batch
	f    remoteFork
	opts []engine.WriteOption
}

func (b remoteBatch) Set(key, value []byte) { b.Batch.Set(b.f.f, key, value) }
func (b remoteBatch) Delete(key []byte)     { b.Batch.Delete(b.f.f, key) }
func (b remoteBatch) Commit() error         { return b.Batch.Commit(b.f.r.ctx, b.opts...) }

func (r *remote) Writes() writes { return remoteWrites{r.c.NewBatch(), r.ctx} }

type remoteWrites struct {
	*client.Batch
	ctx context.Context
}

func (b remoteWrites) Set(f forkspace, key, value []byte) { b.Batch.Set(f.(remoteFork).f, key, value) }
func (b remoteWrites) Delete(f forkspace, key []byte)     { b.Batch.Delete(f.(remoteFork).f, key) }
func (b remoteWrites) DeleteRange(f forkspace, r engine.Range) {
	b.Batch.DeleteRange(f.(remoteFork).f, r.Lower, r.Upper)
}
func (b remoteWrites) Commit() error { return b.Batch.Commit(b.ctx) }
