package faultfs

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Op is a kind of call. The zero value stands for all of them.
type Op int

// The kinds of calls. OpSize is both FS.Size and File.Size; Close never fails.
const (
	OpAny Op = iota
	OpCreate
	OpOpen
	OpRead
	OpWrite
	OpSync
	OpPreallocate
	OpRename
	OpRemove
	OpSyncDir
	OpList
	OpMkdir
	OpLock
	OpSize
	opCount
)

var opNames = [opCount]string{
	"any", "create", "open", "read", "write", "sync", "preallocate", "rename",
	"remove", "syncdir", "list", "mkdir", "lock", "size",
}

// String gives the name of the operation, as it also stands in the errors.
func (op Op) String() string {
	if op < 0 || op >= opCount {
		return fmt.Sprintf("Op(%d)", int(op))
	}
	return opNames[op]
}

// Rule says which calls fail, and how. Its zero value lets the next call of any
// kind fail with EIO.
type Rule struct {
	// Op is the kind of call.
	Op Op
	// Match limits the rule to some names, as the store gave them; nil matches
	// all. A rename matches by either name. It must not call the file system.
	Match func(name string) bool
	// Nth is the first call to fail, counted from 1 among those that match since
	// the rule was injected; 0 means 1.
	Nth int
	// Sticky lets every matching call from the Nth on fail, not only that one.
	Sticky bool
	// Err is the cause in the *fs.PathError that the call returns; nil means EIO.
	Err error
	// ShortWrite lets a failing write write the first half of its bytes.
	ShortWrite bool
}

// rule is an injected rule and how many calls it has seen.
type rule struct {
	Rule
	seen int
}

// rules decide about calls. They may be used concurrently.
type rules struct {
	mu       sync.Mutex
	list     []*rule
	calls    [opCount]int
	injected int
}

// strike counts a call and gives the rule by which it fails, or nil. All rules
// count a call, also one that an earlier rule lets fail.
func (r *rules) strike(op Op, names ...string) *Rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[op]++
	r.calls[OpAny]++
	var hit *Rule
	for _, rule := range r.list {
		if !rule.matches(op, names) {
			continue
		}
		rule.seen++
		nth := max(rule.Nth, 1)
		if hit == nil && (rule.seen == nth || rule.Sticky && rule.seen > nth) {
			hit = &rule.Rule
		}
	}
	if hit != nil {
		r.injected++
	}
	return hit
}

func (r *Rule) matches(op Op, names []string) bool {
	if r.Op != OpAny && r.Op != op {
		return false
	}
	if r.Match == nil {
		return true
	}
	for _, name := range names {
		if r.Match(name) {
			return true
		}
	}
	return false
}

// failure makes the error of a call that the rule lets fail.
func (r *Rule) failure(op Op, name string) error {
	err := r.Err
	if err == nil {
		err = syscall.EIO
	}
	return &os.PathError{Op: op.String(), Path: name, Err: err}
}
