package server

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that this one wraps
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
)

// partBytes is what an operation, key or name takes in memory beside its bytes, about.
const partBytes = 160

// codec hands messages through as bytes, so that they are decoded and encoded where it
// is known whose they are.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// rawMessage is a message that has not been decoded.
type rawMessage struct{ data mem.BufferSlice }

// Marshal encodes v, or takes what is encoded.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(*encoded); ok {
		return e.data, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal decodes data into v, or keeps it for later.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if r, ok := v.(*rawMessage); ok {
		data.Ref()
		r.data = data
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// receive waits for the call's message and decodes it. What it takes in memory counts
// until the call ends.
func (c *call) receive(from func(any) error, into proto.Message) error {
	raw, err := c.arrive(from)
	if err != nil {
		return err
	}
	defer raw.data.Free()
	buffer := raw.data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	data := buffer.ReadOnlyData()
	c.start = time.Now()
	c.in += int64(len(data))
	if c.lane() != laneCalls && len(data) > asideBytes {
		return refused(LimitMessage, fmt.Errorf("%w: a message of %d bytes to %s; it takes %d", wire.ErrNodeLimit, len(data), c.name(), asideBytes))
	}
	parts, err := countParts(data, into)
	if err != nil {
		return fmt.Errorf("%w: %v", wire.ErrBadRequest, err)
	}
	if parts > c.s.limits.MaxParts {
		return refused(LimitParts, fmt.Errorf("%w: the message has %d parts; this node takes %d", wire.ErrNodeLimit, parts, c.s.limits.MaxParts))
	}
	if err := c.charge(int64(len(data) + parts*partBytes)); err != nil {
		return err
	}
	if err := proto.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %v", wire.ErrBadRequest, err)
	}
	return nil
}

// arrive waits for the message. Only so many calls may have a part of theirs here, and
// none for long: else callers who send slowly would fill the memory.
func (c *call) arrive(from func(any) error) (*rawMessage, error) {
	if c.account != nil {
		select {
		case c.account.receiving <- struct{}{}:
			defer func() { <-c.account.receiving }()
		case <-c.ctx.Done():
			return nil, c.ended()
		}
	}
	room := someReceiving + resource(c.lane())
	if !c.s.shares.wait(c.ctx, c.share, room, patience) {
		if ended := c.ended(); ended != nil {
			return nil, ended
		}
		return nil, c.full(overloadTime, room, 1)
	}
	defer c.s.shares.give(c.share, room, 1)
	if c.lease != nil {
		wait := c.s.limits.Lease
		if c.lane() != laneCalls {
			wait = min(wait, asideTime)
		}
		c.lease.hold(wait, errArrival)
		defer c.lease.release()
	}
	raw := new(rawMessage)
	if err := from(raw); err != nil {
		// The library has told the caller already, and ended the call's context.
		if status.Code(err) == codes.ResourceExhausted {
			return nil, refused(LimitMessage, err)
		}
		if ended := c.ended(); ended != nil {
			return nil, ended
		}
		return nil, err
	}
	return raw, nil
}

// errArrival ends a call whose message does not come.
var errArrival = refused(LimitLease, fmt.Errorf("%w: the message does not arrive", wire.ErrTimedOut))

// countParts counts the fields of a message, and those of the names that it holds,
// without decoding it.
func countParts(data []byte, m proto.Message) (int, error) {
	_, drop := m.(*tinepb.DropForksRequest)
	n := 0
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return 0, protowire.ParseError(size)
		}
		data = data[size:]
		size = protowire.ConsumeFieldValue(number, kind, data)
		if size < 0 {
			return 0, protowire.ParseError(size)
		}
		if drop && number == 1 && kind == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(data)
			more, err := countParts(inner, nil)
			if err != nil {
				return 0, err
			}
			n += more
		}
		data = data[size:]
		n++
	}
	return n, nil
}
