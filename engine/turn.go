package engine

import (
	"context"
	"sync"
)

// turn is a mutex for which one may stop waiting. Its zero value is free.
type turn struct {
	once sync.Once
	held chan struct{}
}

func (t *turn) channel() chan struct{} {
	t.once.Do(func() { t.held = make(chan struct{}, 1) })
	return t.held
}

// Lock waits for the turn.
func (t *turn) Lock() { t.channel() <- struct{}{} }

// LockUntil waits for the turn until the context ends, of which it returns the error.
func (t *turn) LockUntil(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.channel() <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unlock ends the turn.
func (t *turn) Unlock() { <-t.channel() }
