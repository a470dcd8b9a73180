package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// A ScanOption changes what an iterator fetches.
type ScanOption func(*tinepb.ScanRequest)

// KeysOnly leaves the values out: they are empty.
func KeysOnly(m *tinepb.ScanRequest) { m.KeysOnly = true }

// Limit ends after so many rows, from each First, Last or seek on; 0 is no limit.
func Limit(rows int) ScanOption {
	return func(m *tinepb.ScanRequest) { m.LimitRows = uint64(max(rows, 0)) }
}

// Iterator walks the rows of a fork or snapshot in key order, both ways. It is used by
// one goroutine and must be closed.
//
// First, Last and seeks begin a scan on the node, which sees what is there at that
// moment; turning round begins another. A scan that takes longer than the node allows,
// or whose node is restarted, goes on behind the last row with what is there then:
// Resumed tells how often that was.
type Iterator struct {
	c    *Client
	ctx  context.Context
	of   Source
	rng  engine.Range
	opts []ScanOption

	scan    *scan // nil: not positioned
	err     error
	resumed int
}

// scan is one walk over a range in one direction.
type scan struct {
	m      *tinepb.ScanRequest
	begin  []byte // of a walk forwards: rows has all there are from here on
	stream tinepb.Tine_ScanClient
	cancel context.CancelFunc
	rows   []*tinepb.Row
	at     int
	left   uint64 // rows up to the limit
	ended  bool   // there are no more rows on the node
	whole  bool   // that is because the range ends
}

// NewIter opens an iterator over a range. It is not positioned, and nothing is asked of
// the node yet.
func (r *reader) NewIter(ctx context.Context, rng engine.Range, opts ...ScanOption) (*Iterator, error) {
	if rng.Lower != nil && rng.Upper != nil && bytes.Compare(rng.Lower, rng.Upper) > 0 {
		return nil, fmt.Errorf("open iterator: %w: %q is above %q", engine.ErrInvalidRange, rng.Lower, rng.Upper)
	}
	return &Iterator{
		c: r.c, ctx: ctx, of: r.of, opts: opts,
		rng: engine.Range{Lower: bytes.Clone(rng.Lower), Upper: bytes.Clone(rng.Upper)},
	}, nil
}

// First moves to the first row of the range.
func (it *Iterator) First() bool { return it.walk(false, it.rng.Lower, it.rng.Upper) }

// Last moves to the last row of the range.
func (it *Iterator) Last() bool { return it.walk(true, it.rng.Lower, it.rng.Upper) }

// SeekGE moves to the first row whose key is at or after key. What has been fetched
// already is not fetched again.
func (it *Iterator) SeekGE(key []byte) bool {
	key = bytes.Clone(key)
	if bytes.Compare(key, it.rng.Lower) < 0 {
		key = it.rng.Lower
	}
	if s := it.scan; it.err == nil && s != nil && !s.m.GetReverse() && bytes.Compare(key, s.begin) >= 0 {
		at, _ := slices.BinarySearchFunc(s.rows, key, func(r *tinepb.Row, key []byte) int { return bytes.Compare(r.GetKey(), key) })
		if (at < len(s.rows) || s.whole) && s.m.GetLimitRows() == 0 {
			s.at = at
			return it.Valid()
		}
	}
	return it.walk(false, key, it.rng.Upper)
}

// SeekLT moves to the last row whose key is before key.
func (it *Iterator) SeekLT(key []byte) bool {
	upper := append([]byte{}, key...)
	if it.rng.Upper != nil && bytes.Compare(upper, it.rng.Upper) > 0 {
		upper = it.rng.Upper
	}
	return it.walk(true, it.rng.Lower, upper)
}

// Next moves to the next row. On an iterator that is not on a row it does nothing.
func (it *Iterator) Next() bool {
	if !it.Valid() {
		return false
	}
	if it.scan.m.GetReverse() {
		return it.walk(false, append(bytes.Clone(it.Key()), 0), it.rng.Upper)
	}
	return it.advance()
}

// Prev moves to the row before.
func (it *Iterator) Prev() bool {
	if !it.Valid() {
		return false
	}
	if !it.scan.m.GetReverse() {
		return it.walk(true, it.rng.Lower, bytes.Clone(it.Key()))
	}
	return it.advance()
}

// Valid tells whether the iterator is on a row.
func (it *Iterator) Valid() bool {
	return it.err == nil && it.scan != nil && it.scan.at < len(it.scan.rows)
}

// Key is the row's key, good until the next move.
func (it *Iterator) Key() []byte { return it.scan.rows[it.scan.at].GetKey() }

// Value is the row's value, good until the next move.
func (it *Iterator) Value() []byte { return it.scan.rows[it.scan.at].GetValue() }

// Error is what ended the iteration early, nil if nothing did.
func (it *Iterator) Error() error { return it.err }

// Resumed is how often a scan went on at a later moment than it began.
func (it *Iterator) Resumed() int { return it.resumed }

// Close lets go of what the node reads and returns the iterator's error, if any. It may
// be called more than once.
func (it *Iterator) Close() error {
	it.stop()
	return it.err
}

func (it *Iterator) stop() {
	if it.scan != nil && it.scan.cancel != nil {
		it.scan.cancel()
	}
	it.scan = nil
}

// walk begins a scan and moves to its first row. Empty bounds are open, but an upper
// one that is there and empty has nothing below it.
func (it *Iterator) walk(reverse bool, lower, upper []byte) bool {
	it.stop()
	if it.err != nil {
		return false
	}
	m := &tinepb.ScanRequest{Source: it.of.source(), Lower: open(lower), Upper: open(upper), Reverse: reverse}
	for _, o := range it.opts {
		o(m)
	}
	it.scan = &scan{m: m, begin: bytes.Clone(lower), left: m.GetLimitRows()}
	if upper != nil && bytes.Compare(lower, upper) >= 0 {
		it.scan.ended, it.scan.whole = true, true
		return false
	}
	return it.fetch()
}

// advance moves on within the scan.
func (it *Iterator) advance() bool {
	it.scan.at++
	return it.scan.at < len(it.scan.rows) || it.fetch()
}

// fetch gets the next rows, in as many attempts as it takes.
func (it *Iterator) fetch() bool {
	s := it.scan
	for !s.ended {
		err := it.c.do(it.ctx, repeatable, "scan", func(ctx context.Context) error { return it.receive(ctx) })
		if err != nil {
			it.err = err
			return false
		}
		if s.at < len(s.rows) {
			return true
		}
	}
	return false
}

// receive gets one message, of a stream that it opens if there is none.
func (it *Iterator) receive(ctx context.Context) error {
	s := it.scan
	if s.stream == nil {
		if s.m.LimitRows > 0 {
			s.m.LimitRows = s.left
		}
		ctx, cancel := context.WithCancel(ctx)
		stream, err := it.c.node.Scan(ctx, s.m)
		if err != nil {
			cancel()
			return err
		}
		s.stream, s.cancel = stream, cancel
	}
	answer, err := s.stream.Recv()
	if err != nil {
		it.hangUp()
		if errors.Is(err, io.EOF) {
			return &wire.Error{Kind: tinepb.Error_INTERNAL, Text: "the node ended a scan without saying why"}
		}
		return err
	}
	if n := uint64(len(answer.GetRows())); s.left > 0 {
		s.left -= min(n, s.left)
	}
	if len(answer.GetRows()) > 0 {
		if len(s.rows) > 0 {
			s.begin = answer.GetRows()[0].GetKey()
		}
		s.rows, s.at = answer.GetRows(), 0
	}
	s.m.Resume = answer.GetResume()
	switch answer.GetEnd() {
	case tinepb.ScanResponse_END_UNSPECIFIED:
	case tinepb.ScanResponse_RANGE, tinepb.ScanResponse_LIMIT:
		s.ended, s.whole = true, answer.GetEnd() == tinepb.ScanResponse_RANGE
		it.hangUp()
	default: // the node wants to be asked again
		it.hangUp()
	}
	return nil
}

// hangUp ends the stream. Another one goes on behind the last row, if there was one.
func (it *Iterator) hangUp() {
	s := it.scan
	s.cancel()
	s.stream, s.cancel = nil, nil
	if !s.ended && len(s.m.GetResume()) > 0 {
		it.resumed++
	}
}
