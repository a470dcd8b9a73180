package server

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/tap"
)

// A lease ends a stream when its caller keeps it waiting. It belongs to one call.
type lease struct {
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the call's own time
	mu     sync.Mutex
	timer  *time.Timer
}

type leaseKey struct{}

// tapped runs when the headers of a call have arrived, in the goroutine that reads
// the connection. It gives every stream an end: of its time, whatever time the caller
// asked for, and of its lease. It is the only place where the library lets one do
// that: what blocks in a stream listens to the context made here.
func (s *Server) tapped(ctx context.Context, info *tap.Info) (context.Context, error) {
	r := rules[info.FullMethodName]
	if r == nil {
		return ctx, nil // refused later
	}
	l := new(lease)
	ctx, l.cancel = context.WithCancelCause(ctx)
	ctx, l.stop = context.WithTimeoutCause(ctx, r.time(s.limits), errTime)
	return context.WithValue(ctx, leaseKey{}, l), nil
}

// hold ends the stream with cause unless release is called in time.
func (l *lease) hold(d time.Duration, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(d, func() { l.cancel(cause) })
}

// release ends what hold began.
func (l *lease) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
}
