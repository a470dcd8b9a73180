package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tinedb/tine/engine"
)

// SystemPrefix begins the names of forks that are the node's own: callers neither see
// nor use them, and may not give such names.
const SystemPrefix = ".tine/"

const (
	requestsFork = SystemPrefix + "requests" // the ids of batches that were applied
	newFork      = SystemPrefix + "new"      // being made
)

// openSystem gives the fork of request ids; nil if the store is read-only and has
// none.
//
// A fork cannot be made of nothing. So a fork of some fork is emptied, the node's own
// is made from that, and the one between is dropped: then what was emptied is no
// parent of it, and dropping a fork with all that was made from it does not hit it.
func openSystem(store *engine.Store) (*engine.Fork, error) {
	own, err := store.Fork(requestsFork)
	if !errors.Is(err, engine.ErrForkNotFound) {
		return own, err
	}
	between, err := store.Fork(newFork) // left by a crash
	if errors.Is(err, engine.ErrForkNotFound) {
		forks := store.ListForks(engine.ListOptions{Limit: 1})
		if len(forks) == 0 {
			return nil, fmt.Errorf("make the node's forks: %w", engine.ErrForkNotFound)
		}
		var from *engine.Fork
		if from, err = store.Fork(forks[0].Name); err == nil {
			between, err = from.Fork(newFork, engine.NoSync)
		}
	}
	if err == nil {
		err = between.DeleteRange(nil, nil, engine.NoSync)
	}
	if err == nil {
		own, err = between.Fork(requestsFork, engine.NoSync)
	}
	if err == nil {
		err = between.Drop()
	}
	if errors.Is(err, engine.ErrReadOnly) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("make the node's forks: %w", err)
	}
	return own, nil
}

// isSystem tells whether a fork is the node's own.
func isSystem(name string) bool { return strings.HasPrefix(name, SystemPrefix) }
