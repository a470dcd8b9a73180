package churn

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// unlinks notes which files could not be removed, and which of them were later.
// It may be used concurrently.
type unlinks struct {
	vfs.FS
	mu      sync.Mutex
	failed  map[string]bool // names that are still there
	total   int             // that failed
	retried int             // that failed, and then were removed
	armed   bool            // they may fail now, or a job that met one may still be at work
}

// Remove passes on.
func (u *unlinks) Remove(name string) error {
	err := u.FS.Remove(name)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		u.failed[name] = true
		u.total++
	case u.failed[name]:
		delete(u.failed, name)
		u.retried++
	}
	return err
}

func (u *unlinks) failing() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.armed
}

func (u *unlinks) arm(armed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.armed = armed
}

// left gives the names that could not be removed and were not since.
func (u *unlinks) left() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.failed))
}

func (u *unlinks) counted() (failed, retried int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total, u.retried
}

// onlyUnlinks tells whether every failed call that an error speaks of was an
// unlink.
func onlyUnlinks(err error) bool {
	switch e := err.(type) {
	case *os.PathError:
		return e.Op == faultfs.OpRemove.String()
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if !onlyUnlinks(inner) {
				return false
			}
		}
		return true
	}
	inner := errors.Unwrap(err)
	return inner != nil && onlyUnlinks(inner)
}

// failUnlinks lets the next unlink fail, or all for some cycles, and ends that.
func (r *run) failUnlinks() error {
	if r.failing > 0 {
		if r.failing--; r.failing == 0 {
			r.faults.Clear() // armed until the store is known to be at rest
		}
		return nil
	}
	var rule faultfs.Rule
	switch r.rng.IntN(120) {
	case 0:
		rule = faultfs.Rule{Op: faultfs.OpRemove, Nth: 1 + r.rng.IntN(4)}
	case 1:
		rule = faultfs.Rule{Op: faultfs.OpRemove, Sticky: true}
	case 2:
		rule = faultfs.Rule{Op: faultfs.OpRemove, Sticky: true, Match: func(name string) bool { return strings.HasSuffix(name, ".sst") }}
	default:
		return nil
	}
	r.failing = 10 + r.rng.IntN(40)
	r.unlinks.arm(true)
	r.faults.Inject(rule)
	return nil
}

// healthy ends all faults and waits until no job is at work that met one.
func (r *run) healthy() error {
	r.failing = 0
	r.faults.Clear()
	var err error
	for range 4 { // each worker may be in a turn, and have another that it owes
		if err = r.excused(r.store.Settle()); err != nil {
			return err
		}
	}
	r.unlinks.arm(false)
	return r.store.Settle()
}
