package server

import (
	"fmt"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

// encoded is an answer that is encoded already.
type encoded struct{ data mem.BufferSlice }

// smallAnswer is what the library does not tell us of when it is through with it. So
// small answers do not count; a connection has no more of them than streams.
const smallAnswer = 4 << 10

// answerTime is how soon a caller may try again after there was no room for an answer.
const answerTime = 100 * time.Millisecond

// encode makes an answer, which counts until the connection has taken it. That of a
// change goes out whether there is room or not, since it is made: what its names took
// in the request counts already, so that the answer is not much more.
func (c *call) encode(m proto.Message) (*encoded, error) {
	size := proto.Size(m)
	if size > c.s.limits.MaxSendBytes && !c.changed {
		return nil, refused(LimitAnswer, fmt.Errorf("%w: an answer of %d bytes; this node sends %d", wire.ErrNodeLimit, size, c.s.limits.MaxSendBytes))
	}
	c.out += int64(size)
	options := proto.MarshalOptions{UseCachedSize: true}
	if size < smallAnswer || c.account == nil {
		data, err := options.MarshalAppend(make([]byte, 0, size), m)
		return &encoded{mem.BufferSlice{mem.SliceBuffer(data)}}, err
	}
	most := c.s.limits.MaxUnreadBytes
	if c.changed {
		most = anyBytes
	}
	if !c.account.take(c.share, int64(size), c.charged, most, time.Now()) {
		if unread := c.account.leaves(); unread+int64(size) > most {
			return nil, refused(LimitUnread, wire.Overloadf(answerTime, "the connection leaves %d bytes of answers unread, of %d that it may", unread, most))
		}
		return nil, c.full(answerTime, someBytes, int64(size))
	}
	buffer := mem.DefaultBufferPool().Get(size)
	data, err := options.MarshalAppend((*buffer)[:0], m)
	if err != nil || len(data) != size {
		c.account.taken(c.share, int64(size), time.Now())
		return nil, fmt.Errorf("encode an answer of %d bytes: %w", size, err)
	}
	*buffer = data
	return &encoded{mem.BufferSlice{mem.NewBuffer(buffer, &counting{c.account, c.share, int64(size)})}}, nil
}

// counting is where the buffer of one answer goes back to.
type counting struct {
	account *account
	share   *share
	size    int64
}

// Get is never called: the pool takes a buffer, once.
func (p *counting) Get(n int) *[]byte { return mem.DefaultBufferPool().Get(n) }

// Put takes the buffer once the connection has taken the answer.
func (p *counting) Put(b *[]byte) {
	p.account.taken(p.share, p.size, time.Now())
	mem.DefaultBufferPool().Put(b)
}
