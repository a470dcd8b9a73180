package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// skew is how far a caller's clock may be ahead of the node's.
const skew = 5 * time.Minute

// idBytes is the length of a request id.
const idBytes = 16

// requests remember which batches were applied. Their ids are rows of a fork of the
// node's own: a batch writes its row with itself, so that after a crash either both
// are there or neither. A row's key is the time at which the id was chosen and the id;
// rows that are older than the window go together, by one deletion of a range.
//
// It is used concurrently. Invariant: no id older than floor is ever accepted, and
// only rows older than floor are deleted, the floor with them in one batch. So a row
// whose absence means "not applied" has never been deleted, whatever the clock does.
type requests struct {
	store  *engine.Store
	fork   *engine.Fork
	window time.Duration
	now    func() time.Time

	mu      sync.Mutex
	running map[requestID]*attempt
	floor   int64 // Unix milliseconds
	pruned  time.Time
	// failed is set when the outcome of a batch was unknown: its row may be seen and yet
	// not be durable. The store writes nothing more then, and nothing is answered from
	// rows until it is opened again.
	failed error
}

type requestID struct {
	created int64
	id      [idBytes]byte
}

// attempt is a batch with an id that is being applied.
type attempt struct {
	of     *requests
	id     requestID
	digest uint64
	done   chan struct{} // closed at its end
	ok     bool          // valid after done: it was applied, now or before
}

const (
	floorKey  = "\x00floor"
	rowPrefix = 1
)

// rowKey is the key of an id; without the id, it is before all ids of that time.
func rowKey(created int64, id []byte) []byte {
	key := make([]byte, 1, 1+8+idBytes)
	key[0] = rowPrefix
	key = binary.BigEndian.AppendUint64(key, uint64(created))
	return append(key, id...)
}

func openRequests(store *engine.Store, fork *engine.Fork, window time.Duration, now func() time.Time) (*requests, error) {
	r := &requests{store: store, fork: fork, window: window, now: now, running: make(map[requestID]*attempt), pruned: now()}
	floor, err := fork.Get([]byte(floorKey))
	switch {
	case errors.Is(err, engine.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("read the node's forks: %w", err)
	case len(floor) != 8:
		return nil, fmt.Errorf("read the node's forks: the floor of request ids has %d bytes", len(floor))
	default:
		r.floor = int64(binary.BigEndian.Uint64(floor))
	}
	return r, nil
}

// begin says whether the batch with an id was applied before. If not, the caller has
// the attempt, and ends it. Others with the same id wait until then.
func (r *requests) begin(ctx context.Context, of *tinepb.RequestId, digest uint64) (a *attempt, applied bool, err error) {
	if len(of.GetId()) != idBytes || of.GetCreatedUnixMs() <= 0 {
		return nil, false, fmt.Errorf("%w: a request id has %d bytes and a time", wire.ErrBadRequest, idBytes)
	}
	id := requestID{created: of.GetCreatedUnixMs(), id: [idBytes]byte(of.GetId())}
	for {
		other, mine, err := r.enter(id, digest)
		if err != nil {
			return nil, false, err
		}
		if mine != nil {
			return r.look(mine)
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, false, wire.ContextError(ctx)
		}
		if other.ok {
			return nil, true, same(other.digest, digest)
		}
	}
}

// enter finds the attempt with the id that is running, or begins one.
func (r *requests) enter(id requestID, digest uint64) (other, mine *attempt, err error) {
	r.prune()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, nil, fmt.Errorf("it is not known whether a batch with this id was applied: %w", r.failed)
	}
	now := r.now()
	if first := max(r.floor, now.Add(-r.window).UnixMilli()); id.created < first {
		return nil, nil, fmt.Errorf("%w: it is %v older than the node remembers", wire.ErrRequestExpired, time.Duration(first-id.created)*time.Millisecond)
	}
	if last := now.Add(skew).UnixMilli(); id.created > last {
		return nil, nil, fmt.Errorf("%w: it comes from the future; the node's clock says %s", wire.ErrRequestExpired, now.UTC().Format(time.RFC3339))
	}
	if other = r.running[id]; other != nil {
		return other, nil, nil
	}
	mine = &attempt{of: r, id: id, digest: digest, done: make(chan struct{})}
	r.running[id] = mine
	return nil, mine, nil
}

// look finds whether an id that was entered has a row.
func (r *requests) look(a *attempt) (*attempt, bool, error) {
	row, err := r.fork.Get(rowKey(a.id.created, a.id.id[:]))
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return a, false, nil
	case err == nil && len(row) != 8:
		err = fmt.Errorf("%w: the row of a request id has %d bytes", wire.ErrInternal, len(row))
	}
	if err != nil {
		a.end(err)
		return nil, false, err
	}
	digest := binary.BigEndian.Uint64(row)
	err = same(digest, a.digest)
	a.digest = digest
	a.end(nil)
	return nil, true, err
}

func same(a, b uint64) error {
	if a != b {
		return wire.ErrRequestReused
	}
	return nil
}

// addTo puts the attempt's row into its batch.
func (a *attempt) addTo(b *engine.Batch) {
	b.Set(a.of.fork, rowKey(a.id.created, a.id.id[:]), binary.BigEndian.AppendUint64(nil, a.digest))
}

// end lets those go on who wait for the attempt.
func (a *attempt) end(err error) {
	r := a.of
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, engine.ErrIndeterminate) {
		r.failed = err
	}
	a.ok = err == nil
	delete(r.running, a.id)
	close(a.done)
}

// prune deletes the rows that are older than the window, a few times in one. A failure
// is no matter: the next one deletes them.
func (r *requests) prune() {
	r.mu.Lock()
	now := r.now()
	if r.failed != nil || now.Sub(r.pruned) < r.window/8 {
		r.mu.Unlock()
		return
	}
	r.pruned = now
	bound := now.Add(-r.window).UnixMilli()
	for id := range r.running {
		bound = min(bound, id.created)
	}
	// The floor stays at what was there: a clock that is wrong for a while must not shut
	// out everybody after it was set right.
	last, err := r.newest(bound)
	if err != nil || last < r.floor {
		r.mu.Unlock()
		return
	}
	r.floor = last + 1
	floor := r.floor
	r.mu.Unlock()

	b := r.store.NewBatch()
	b.DeleteRange(r.fork, rowKey(0, nil), rowKey(floor, nil))
	b.Set(r.fork, []byte(floorKey), binary.BigEndian.AppendUint64(nil, uint64(floor)))
	_ = b.Commit(engine.NoSync)
}

// newest is the time of the newest row before a time; -1 if there is none.
func (r *requests) newest(before int64) (int64, error) {
	it, err := r.fork.NewIter(engine.Range{Lower: rowKey(0, nil), Upper: rowKey(max(0, before), nil)})
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.Last() {
		return -1, it.Error()
	}
	return int64(binary.BigEndian.Uint64(it.Key()[1:9])), nil
}

// digestOf sums up who sends a batch and what is in it, to tell when an id comes again
// with another one.
func digestOf(principal string, m *tinepb.WriteRequest) uint64 {
	var number [8]byte
	h := xxhash.New()
	add := func(n uint64) {
		binary.BigEndian.PutUint64(number[:], n)
		_, _ = h.Write(number[:])
	}
	bytes := func(b []byte) {
		add(uint64(len(b)))
		_, _ = h.Write(b)
	}
	bytes([]byte(principal))
	if m.GetNoSync() {
		add(1)
	}
	add(uint64(len(m.GetForks())))
	for _, f := range m.GetForks() {
		bytes([]byte(f.GetName()))
		add(f.GetId())
	}
	for _, op := range m.GetOps() {
		add(uint64(op.GetKind()))
		add(uint64(op.GetFork()))
		bytes(op.GetKey())
		bytes(op.GetValue())
		bytes(op.GetUpper())
	}
	return h.Sum64()
}
