package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// bearer puts a token into each call.
type bearer struct {
	token  string
	secure bool
}

// GetRequestMetadata is called by the library.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity is called by the library.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// The pauses between attempts.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 2 * time.Second
)

// A repeat says whether a call may be sent again when it is not known whether the node
// has carried it out.
type repeat bool

const (
	repeatable repeat = true  // a second time changes nothing more
	once       repeat = false // only if the node says that it has done nothing
)

// A final error ends a call whatever it is: an attempt that has begun to do something on
// this side cannot be made again. It says which call it was.
type final struct{ err error }

func (f *final) Error() string { return f.err.Error() }

// do carries out one call, in as many attempts as it takes and is allowed.
func (c *Client) do(ctx context.Context, may repeat, what string, attempt func(context.Context) error) error {
	begun := time.Now()
	pause := firstPause
	for {
		err := attempt(ctx)
		var last *final
		if errors.As(err, &last) {
			return last.err
		}
		if err = wire.FromStatus(err); err == nil {
			return nil
		}
		wait, again := tryAgain(err, may)
		wait = max(wait, pause/2+rand.N(pause/2))
		if !again || time.Since(begun)+wait > c.o.RetryFor {
			return worded(what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (the last attempt: %w)", what, context.Cause(ctx), err)
		case <-time.After(wait):
		}
		pause = min(2*pause, maxPause)
	}
}

// worded says which call it was that failed, unless the node's own words do.
func worded(what string, err error) error {
	var e *wire.Error
	if errors.As(err, &e) && e.Kind != tinepb.Error_KIND_UNSPECIFIED {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// tryAgain tells whether another attempt may help and do no harm, and when the node
// wants it at the earliest.
func tryAgain(err error, may repeat) (wait time.Duration, again bool) {
	switch {
	case errors.Is(err, wire.ErrOverloaded):
		wait, _ = wire.RetryAfter(err)
		return wait, true
	case errors.Is(err, wire.ErrDraining):
		return 0, true
	}
	return 0, bool(may) && unreached(err)
}

// unreached tells that no answer of the node came: it may have carried the call out.
func unreached(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && (e.Code == codes.Unavailable && e.Kind == tinepb.Error_KIND_UNSPECIFIED || e.Is(engine.ErrClosed))
}

// unsynced tells whether the options ask for no sync.
func unsynced(opts []engine.WriteOption) bool {
	for _, o := range opts {
		if o == engine.NoSync {
			return true
		}
	}
	return false
}

// open makes an open bound of an empty one.
func open(bound []byte) []byte {
	if len(bound) == 0 {
		return nil
	}
	return bound
}
