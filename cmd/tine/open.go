package main

import (
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/engine"
)

// access is how a verb opens the store.
type access uint8

const (
	reading   access = iota // read-only; the store must be there
	writing                 // the store must be there
	creating                // a new store is made in an empty or missing directory
	importing               // likewise, and much will be written
)

// smallSegmentBytes is the log segment of a verb that writes little: each process
// begins a segment of its own.
const smallSegmentBytes = 256 << 10

// dataDir gives the store's directory, or says how to name one.
func (a *app) dataDir() (string, error) {
	if a.data == "" {
		return "", usagef("no store: give its directory with --data DIR or in TINE_DATA")
	}
	return a.data, nil
}

// withStore opens the store, calls fn and closes it; the first error wins, but a
// failed close is never lost.
func (a *app) withStore(how access, fn func(*engine.Store) error) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	options := &engine.Options{ReadOnly: how == reading, MustExist: how != creating && how != importing}
	if how != importing {
		options.SegmentBytes = smallSegmentBytes
	}
	store, err := engine.Open(dir, options)
	if err != nil {
		return err
	}
	return errors.Join(fn(store), store.Close())
}

// withFork is withStore for verbs on one fork.
func (a *app) withFork(how access, fn func(*engine.Store, *engine.Fork) error) error {
	return a.withStore(how, func(store *engine.Store) error {
		fork, err := store.Fork(a.fork)
		if err != nil {
			return err
		}
		return fn(store, fork)
	})
}

// keyspace is what can be read: a fork or a snapshot.
type keyspace interface {
	Get(key []byte) ([]byte, error)
	NewIter(engine.Range) (*engine.Iterator, error)
	Scan(engine.Range) (iter.Seq2[[]byte, []byte], func() error)
}

// withKeyspace opens the store read-only and finds what --fork or --snapshot
// names.
func (a *app) withKeyspace(fn func(keyspace) error) error {
	return a.withStore(reading, func(store *engine.Store) error {
		if a.snapshot != "" {
			snapshot, err := store.Snapshot(a.snapshot)
			if err != nil {
				return err
			}
			return fn(snapshot)
		}
		fork, err := store.Fork(a.fork)
		if err != nil {
			return err
		}
		return fn(fork)
	})
}

func (a *app) forkFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.fork, "fork", engine.MainFork, "the fork to work on")
}

func (a *app) keyspaceFlags(cmd *cobra.Command) {
	a.forkFlag(cmd)
	cmd.Flags().StringVar(&a.snapshot, "snapshot", "", "read this snapshot instead of a fork")
	exclusive(cmd, "fork", "snapshot")
}
