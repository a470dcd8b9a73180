package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// Batch collects writes to one or several forks and commits them atomically. Later
// writes to a key win over earlier ones. A Batch is used by one goroutine; after Commit
// it is empty and can be used again. It must fit into one message of the node:
// wire.ErrNodeLimit.
type Batch struct {
	c     *Client
	forks map[*Fork]uint32
	m     tinepb.WriteRequest
	bytes int
	err   error
}

// opOverhead is a bound on what one write takes beside its key and value, in bytes.
const opOverhead = 16

// NewBatch makes an empty batch.
func (c *Client) NewBatch() *Batch { return &Batch{c: c} }

// Set adds "key has value in f". Key and value are copied.
func (b *Batch) Set(f *Fork, key, value []byte) {
	b.add(f, &tinepb.Op{Kind: tinepb.Op_SET, Key: bytes.Clone(key), Value: bytes.Clone(value)})
}

// Delete adds "key has no value in f". The key need not exist.
func (b *Batch) Delete(f *Fork, key []byte) {
	b.add(f, &tinepb.Op{Kind: tinepb.Op_DELETE, Key: bytes.Clone(key)})
}

// DeleteRange adds "no key in [lo, hi) has a value in f"; a nil bound is open.
func (b *Batch) DeleteRange(f *Fork, lo, hi []byte) {
	switch {
	case lo != nil && hi != nil && bytes.Compare(lo, hi) > 0:
		b.fail(fmt.Errorf("delete range: %w: %q is above %q", engine.ErrInvalidRange, lo, hi))
	case hi != nil && len(hi) == 0 || lo != nil && hi != nil && bytes.Equal(lo, hi):
		// No key is in it, and an empty bound is an open one on the wire.
	default:
		b.add(f, &tinepb.Op{Kind: tinepb.Op_DELETE_RANGE, Key: bytes.Clone(lo), Upper: bytes.Clone(hi)})
	}
}

func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *Batch) add(f *Fork, op *tinepb.Op) {
	if f == nil || f.c != b.c {
		b.fail(errors.New("batch: the fork belongs to another client"))
		return
	}
	at, there := b.forks[f]
	if !there {
		if b.forks == nil {
			b.forks = map[*Fork]uint32{}
		}
		at = uint32(len(b.m.Forks))
		b.forks[f] = at
		b.m.Forks = append(b.m.Forks, nil)
	}
	op.Fork = at
	b.m.Ops = append(b.m.Ops, op)
	b.bytes += len(op.Key) + len(op.Value) + len(op.Upper) + opOverhead
}

// Len is the number of writes in the batch.
func (b *Batch) Len() int { return len(b.m.Ops) }

// Bytes is what the batch takes, about.
func (b *Batch) Bytes() int { return b.bytes }

// Reset empties the batch and forgets its errors.
func (b *Batch) Reset() {
	b.m = tinepb.WriteRequest{}
	b.forks, b.bytes, b.err = nil, 0, nil
}

// Commit writes the batch and empties it. If it returns an error that does not match
// engine.ErrIndeterminate, nothing was written. On any error the batch keeps its
// contents, and unless they change a further Commit is one more attempt at the same:
// the batch is applied once.
func (b *Batch) Commit(ctx context.Context, opts ...engine.WriteOption) error {
	if b.err != nil {
		return b.err
	}
	if len(b.m.Ops) == 0 {
		b.Reset()
		return nil
	}
	may := once
	if !b.c.o.WithoutIDs {
		may = repeatable
		if b.m.RequestId == nil {
			b.m.RequestId = newRequestID()
		}
	}
	for f, at := range b.forks {
		b.m.Forks[at] = f.ref()
	}
	b.m.NoSync = unsynced(opts)
	err := b.c.do(ctx, may, "write", func(ctx context.Context) error {
		_, err := b.c.node.Write(ctx, &b.m)
		return err
	})
	if err != nil {
		return indeterminate(err)
	}
	b.Reset()
	return nil
}

// newRequestID makes the id of a batch.
func newRequestID() *tinepb.RequestId {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return &tinepb.RequestId{Id: id, CreatedUnixMs: time.Now().UnixMilli()}
}

// indeterminate adds to an error of a write that its outcome is not known, if so.
func indeterminate(err error) error {
	open := unreached(err) || errors.Is(err, wire.ErrTimedOut) || errors.Is(err, wire.ErrCanceled) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, wire.ErrRequestExpired)
	if open && !errors.Is(err, engine.ErrIndeterminate) {
		return fmt.Errorf("%w: %w", engine.ErrIndeterminate, err)
	}
	return err
}
