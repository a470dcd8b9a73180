package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// Get reads keys.
func (s *Server) Get(ctx context.Context, m *tinepb.GetRequest) (*tinepb.GetResponse, error) {
	c := callOf(ctx)
	from, err := c.source(m.GetSource())
	if err != nil {
		return nil, err
	}
	answer := &tinepb.GetResponse{Id: from.ID(), Values: make([]*tinepb.Value, len(m.GetKeys()))}
	values := make([]tinepb.Value, len(m.GetKeys()))
	get := from.Get
	if m.GetOneMoment() && len(m.GetKeys()) > 1 {
		it, err := from.NewIter(engine.Range{})
		if err != nil {
			return nil, err
		}
		defer it.Close()
		get = func(key []byte) ([]byte, error) { return seek(it, key) }
	}
	began := time.Now()
	defer func() { c.engine += time.Since(began) }()
	size := 0
	for i, key := range m.GetKeys() {
		v := &values[i]
		answer.Values[i] = v
		switch v.Value, err = get(key); {
		case errors.Is(err, engine.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		v.Found = true
		c.rows++
		if size += len(v.Value); size > s.limits.MaxSendBytes {
			return nil, refused(LimitAnswer, fmt.Errorf("%w: %d values of %d bytes; this node sends %d", wire.ErrNodeLimit, i+1, size, s.limits.MaxSendBytes))
		}
		if err := c.charge(int64(len(v.Value))); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// seek reads a key through an iterator, as of the moment when that was opened.
func seek(it *engine.Iterator, key []byte) ([]byte, error) {
	if it.SeekGE(key) && bytes.Equal(it.Key(), key) {
		return bytes.Clone(it.Value()), nil
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	return nil, engine.ErrNotFound
}
