package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tinedb/tine/engine"
)

// WriterVerb is the hidden verb of the command that calls Write.
const WriterVerb = "demo-writer"

// The forks that the writer fills, always both in one batch.
const (
	leftFork  = "crash-left"
	rightFork = "crash-right"
)

// writersAtOnce is how many goroutines write while the process is killed.
const writersAtOnce = 8

// WriterOptions says what Write does.
type WriterOptions struct {
	Dir       string
	KillAfter int       // acknowledged writes after which the process kills itself
	Acks      io.Writer // a line for each acknowledgement, in one write each
}

// Write writes to the store until it kills its own process with SIGKILL, while
// other goroutines are in the middle of a write. It never returns nil. A line
// goes to Acks only after the store has acknowledged what it says, so whoever
// reads the lines knows what must be there.
func Write(ctx context.Context, opts WriterOptions) error {
	store, err := engine.Open(opts.Dir, &engine.Options{MustExist: true})
	if err != nil {
		return err
	}
	w := &writer{store: store, opts: opts}
	return errors.Join(w.run(ctx), store.Close(), errors.New("the writer was to be killed and is still there"))
}

type writer struct {
	store       *engine.Store
	opts        WriterOptions
	left, right *engine.Fork

	mu    sync.Mutex // guards acks and the lines' order
	acked int
}

func (w *writer) run(ctx context.Context) error {
	parent, err := w.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	if w.left, err = w.fork(parent, leftFork); err != nil {
		return err
	}
	if w.right, err = w.fork(parent, rightFork); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for n := range writersAtOnce {
		g.Go(func() error { return w.write(ctx, n) })
	}
	return g.Wait()
}

func (w *writer) fork(parent *engine.Fork, name string) (*engine.Fork, error) {
	fork, err := parent.Fork(name)
	if err != nil {
		return nil, err
	}
	return fork, w.ack("fork " + name)
}

// write puts key after key into both forks; now and then it forks one of them.
func (w *writer) write(ctx context.Context, goroutine int) error {
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("crash/%d/%06d", goroutine, i)
		value := crashValue(key)
		batch := w.store.NewBatch()
		batch.Set(w.left, []byte(key), value)
		batch.Set(w.right, []byte(key), value)
		if err := batch.Commit(); err != nil {
			return err
		}
		if err := w.ack("put " + key); err != nil {
			return err
		}
		if i%20 == 19 {
			if _, err := w.fork(w.left, fmt.Sprintf("crash-%d-%d", goroutine, i)); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// ack says what the store has acknowledged, and at the end kills the process:
// nothing is closed, flushed or tidied.
func (w *writer) ack(line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := io.WriteString(w.opts.Acks, line+"\n"); err != nil {
		return err
	}
	w.acked++
	if w.acked < w.opts.KillAfter {
		return nil
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {} // until the signal arrives
}

// crashValue is the value of a key, so that a reader can tell a whole value from
// a damaged one without having been told.
func crashValue(key string) []byte {
	value := make([]byte, 0, 40*len(key))
	for range 40 {
		value = append(value, key...)
	}
	return value
}
