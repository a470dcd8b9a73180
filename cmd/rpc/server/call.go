package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

// call is one call under way. It is used by its goroutine.
type call struct {
	s         *Server
	rule      *rule
	ctx       context.Context
	principal Principal
	share     *share   // of the principal; nil before it is known
	account   *account // nil on a connection that is not the listener's
	lease     *lease   // nil likewise

	start    time.Time
	engine   time.Duration
	admitted bool
	changed  bool  // its answer is not to be refused; see rule
	charged  int64 // of the server's bytes
	in, out  int64
	spent    int64 // of these, counted against rates
	rows     int64
	forks    map[string]bool // whose rates it is charged to
}

type callKey struct{}

// callOf finds the call in the context that the library hands to a method.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// begin begins a call of a method, which its end must follow.
func (s *Server) begin(ctx context.Context, method string) *call {
	c := &call{s: s, rule: rules[method], ctx: ctx, start: time.Now(), account: accountOf(ctx)}
	c.changed = c.rule != nil && c.rule.changes
	c.lease, _ = ctx.Value(leaseKey{}).(*lease)
	return c
}

// end gives back what the call held, tells of it, and makes its error a status. It is
// deferred, so that it takes a panic as well: here, and nowhere deeper.
func (c *call) end(err *error) {
	if p := recover(); p != nil {
		c.s.o.Logger.Error("panic", "method", c.name(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = fmt.Errorf("%w: panic, see the node's log", wire.ErrInternal)
	}
	if *err != nil {
		// What waits for a context says only that it ended; its cause says why.
		if ended := c.ended(); ended != nil && errors.Is(*err, c.ctx.Err()) {
			*err = ended
		}
	}
	c.spend()
	c.refund(c.charged)
	if c.admitted {
		c.s.shares.leave(c.share, c.lane())
	}
	if limit := limitOf(*err); limit != "" {
		c.s.o.Observer.Refused(limit)
	}
	answer := wire.ToStatusFor(*err, c.knows)
	event := Event{
		Method: c.name(), Code: answer.Code(), Err: *err, Took: time.Since(c.start), Engine: c.engine,
		BytesIn: c.in, BytesOut: c.out, Rows: c.rows, Admitted: c.admitted,
	}
	if c.rule != nil {
		event.Verb = c.rule.verb
	}
	if c.principal != nil {
		event.Principal = c.principal.Name()
	}
	c.s.o.Observer.Done(event)
	c.log(event)
	*err = answer.Err()
}

// knows tells whether the caller may be told of the fork of that name, or the snapshot if
// there is a mark before it.
func (c *call) knows(name string) bool { return c.principal != nil && c.shown(name) != "" }

// log tells of calls that were denied and of those of the administration.
func (c *call) log(e Event) {
	denied := e.Code == codes.PermissionDenied || e.Code == codes.Unauthenticated
	switch {
	case denied:
	case e.Code == codes.Internal || e.Code == codes.DataLoss:
		c.s.o.Logger.LogAttrs(c.ctx, slog.LevelError, "call failed", c.attrs(e)...)
		return
	case c.rule == nil || !c.rule.admin:
		return
	}
	level, text := slog.LevelInfo, "administrative call"
	if denied {
		level, text = slog.LevelWarn, "call denied"
	}
	c.s.o.Logger.LogAttrs(c.ctx, level, text, c.attrs(e)...)
}

func (c *call) attrs(e Event) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("method", e.Method), slog.String("principal", e.Principal),
		slog.String("code", e.Code.String()), slog.Duration("took", e.Took),
	}
	if c.account != nil {
		attrs = append(attrs, slog.String("remote", c.account.String()))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return attrs
}

func (c *call) name() string {
	if c.rule == nil {
		return "other"
	}
	return c.rule.name
}

// ended is why the call's context has ended; nil if it has not.
func (c *call) ended() error {
	if c.ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(c.ctx); errors.Is(cause, wire.ErrTimedOut) {
		return cause
	}
	return wire.ContextError(c.ctx)
}

// charge counts memory that the call takes until it ends.
func (c *call) charge(n int64) error {
	if !c.s.shares.take(c.share, someBytes, n, c.charged) {
		return c.full(answerTime, someBytes, n)
	}
	c.charged += n
	return nil
}

// refund gives back some of what was charged, before the call ends.
func (c *call) refund(n int64) {
	if n == 0 {
		return
	}
	c.charged -= n
	c.s.shares.give(c.share, someBytes, n)
}

func (s *Server) unary(method string, handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, from func(any) error, _ grpc.UnaryServerInterceptor) (answer any, err error) {
		c := s.begin(ctx, method)
		defer c.end(&err)
		if err := c.admit(method); err != nil {
			return nil, err
		}
		m, err := handler(srv, context.WithValue(ctx, callKey{}, c), func(into any) error {
			return c.receive(from, into.(proto.Message))
		}, nil)
		if c.lane() != laneCalls {
			err = foreign(err)
		} else {
			// Whatever the answer is, an error too, may come of writes that are under way.
			s.outliveKill()
		}
		if err != nil {
			return nil, err
		}
		return c.encode(m.(proto.Message))
	}
}

// outliveKill returns when nothing that could be read until now would be undone if the
// node were killed: what callers have been told once stays true. A node that has stopped
// writing can promise that no more, and answers all the same.
func (s *Server) outliveKill() { _ = s.store.WaitLogged() }

// foreign is an error of another service: a status, which is to stay as it is.
func foreign(err error) error {
	if _, ok := status.FromError(err); ok { // nil is one
		return err
	}
	return wire.ToStatus(err).Err()
}
