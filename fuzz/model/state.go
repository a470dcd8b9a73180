package model

import "errors"

// The ways in which an operation is refused. A refused operation changes nothing.
var (
	ErrKeyNotFound      = errors.New("model: key not found")
	ErrForkNotFound     = errors.New("model: fork not found")
	ErrForkExists       = errors.New("model: fork exists")
	ErrSnapshotNotFound = errors.New("model: snapshot not found")
	ErrSnapshotExists   = errors.New("model: snapshot exists")
	ErrLastFork         = errors.New("model: the last fork cannot be dropped")
	ErrNameTwice        = errors.New("model: a name comes twice")
	ErrEmptyKey         = errors.New("model: empty key")
	ErrRange            = errors.New("model: lower bound above upper bound")
)

// MainFork is the fork that a new store has.
const MainFork = "main"

// Contents is what one fork or snapshot holds.
type Contents = Map[string]

// Range is the keys in [Lower, Upper). A nil bound is open.
type Range struct {
	Lower, Upper *string
}

// Empty tells whether no key can be in r.
func (r Range) Empty() bool {
	return r.Upper != nil && (*r.Upper == "" || r.Lower != nil && *r.Lower >= *r.Upper)
}

// Fork is a fork at one moment. ID stays the same when it is renamed or reset
// and is never given to another.
type Fork struct {
	ID       int
	ParentID int // 0: none
	Depth    int // forks between it and the first one
	Contents Contents
}

// Snapshot is a snapshot at one moment.
type Snapshot struct {
	ID       int
	ForkID   int
	Depth    int // of the fork it was taken of
	Contents Contents
}

// State is all that a store holds between two operations. It never changes: an
// operation gives the next State, or an error and the same State. Forks and
// snapshots are found by name; the two have name spaces of their own.
type State struct {
	Forks     Map[Fork]
	Snapshots Map[Snapshot]
	nextID    int
}

// New is the state of a new store: one fork, MainFork, that is empty.
func New() State {
	return State{nextID: 2}.withFork(MainFork, Fork{ID: 1})
}

// Get gives the value of a key in a fork.
func (s State) Get(fork, key string) (string, error) {
	f, ok := s.Forks.Get(fork)
	if !ok {
		return "", ErrForkNotFound
	}
	return get(f.Contents, key)
}

// GetSnapshot gives the value of a key in a snapshot.
func (s State) GetSnapshot(snapshot, key string) (string, error) {
	n, ok := s.Snapshots.Get(snapshot)
	if !ok {
		return "", ErrSnapshotNotFound
	}
	return get(n.Contents, key)
}

func get(c Contents, key string) (string, error) {
	if key == "" {
		return "", ErrEmptyKey
	}
	value, ok := c.Get(key)
	if !ok {
		return "", ErrKeyNotFound
	}
	return value, nil
}

// Put sets a key in one fork. No other fork and no snapshot sees it, now or ever,
// except those forked from this one later.
func (s State) Put(fork, key, value string) (State, error) {
	return s.edit(fork, key, func(c Contents) Contents { return c.Set(key, value) })
}

// Delete takes a key away from one fork. Deleting what is not there is allowed.
func (s State) Delete(fork, key string) (State, error) {
	return s.edit(fork, key, func(c Contents) Contents { return c.Delete(key) })
}

// DeleteRange takes the keys in r away from one fork. That there are none, or can
// be none, is allowed.
func (s State) DeleteRange(fork string, r Range) (State, error) {
	next, err := s.edit(fork, "any", func(c Contents) Contents { return c.Without(r) })
	if err == nil && r.Lower != nil && r.Upper != nil && *r.Lower > *r.Upper {
		return s, ErrRange
	}
	return next, err
}

func (s State) edit(fork, key string, change func(Contents) Contents) (State, error) {
	f, ok := s.Forks.Get(fork)
	if !ok {
		return s, ErrForkNotFound
	}
	if key == "" {
		return s, ErrEmptyKey
	}
	f.Contents = change(f.Contents)
	return s.withFork(fork, f), nil
}

// Fork adds child, which holds what parent holds now.
func (s State) Fork(parent, child string) (State, error) {
	p, ok := s.Forks.Get(parent)
	if !ok {
		return s, ErrForkNotFound
	}
	return s.add(child, Fork{ParentID: p.ID, Depth: p.Depth + 1, Contents: p.Contents})
}

// ForkSnapshot adds child, which holds what the snapshot holds.
func (s State) ForkSnapshot(snapshot, child string) (State, error) {
	n, ok := s.Snapshots.Get(snapshot)
	if !ok {
		return s, ErrSnapshotNotFound
	}
	return s.add(child, Fork{ParentID: n.ForkID, Depth: n.Depth + 1, Contents: n.Contents})
}

func (s State) add(child string, f Fork) (State, error) {
	if _, taken := s.Forks.Get(child); taken {
		return s, ErrForkExists
	}
	f.ID = s.nextID
	s.nextID++
	return s.withFork(child, f), nil
}

// Snapshot names what a fork holds now.
func (s State) Snapshot(fork, name string) (State, error) {
	f, ok := s.Forks.Get(fork)
	if !ok {
		return s, ErrForkNotFound
	}
	if _, taken := s.Snapshots.Get(name); taken {
		return s, ErrSnapshotExists
	}
	s.Snapshots = s.Snapshots.Set(name, Snapshot{ID: s.nextID, ForkID: f.ID, Depth: f.Depth, Contents: f.Contents})
	s.nextID++
	return s, nil
}

// DropSnapshot takes a snapshot away.
func (s State) DropSnapshot(name string) (State, error) {
	if _, ok := s.Snapshots.Get(name); !ok {
		return s, ErrSnapshotNotFound
	}
	s.Snapshots = s.Snapshots.Delete(name)
	return s, nil
}

// RenameSnapshot gives a snapshot another name. Its own name changes nothing.
func (s State) RenameSnapshot(name, to string) (State, error) {
	n, ok := s.Snapshots.Get(name)
	if !ok {
		return s, ErrSnapshotNotFound
	}
	if name == to {
		return s, nil
	}
	if _, taken := s.Snapshots.Get(to); taken {
		return s, ErrSnapshotExists
	}
	s.Snapshots = s.Snapshots.Delete(name).Set(to, n)
	return s, nil
}

// Drop takes a fork away. Its children and snapshots keep what they hold.
func (s State) Drop(fork string) (State, error) {
	if _, ok := s.Forks.Get(fork); !ok {
		return s, ErrForkNotFound
	}
	if s.Forks.Len() == 1 {
		return s, ErrLastFork
	}
	s.Forks = s.Forks.Delete(fork)
	return s, nil
}

// Rename gives a fork another name. Its own name is no other, and changes nothing.
func (s State) Rename(fork, to string) (State, error) {
	f, ok := s.Forks.Get(fork)
	if !ok {
		return s, ErrForkNotFound
	}
	if fork == to {
		return s, nil
	}
	if _, taken := s.Forks.Get(to); taken {
		return s, ErrForkExists
	}
	s.Forks = s.Forks.Delete(fork)
	return s.withFork(to, f), nil
}

// Reset makes a fork hold what another fork holds now.
func (s State) Reset(fork, source string) (State, error) {
	f, ok := s.Forks.Get(fork)
	if !ok {
		return s, ErrForkNotFound
	}
	from, ok := s.Forks.Get(source)
	if !ok {
		return s, ErrForkNotFound
	}
	f.Contents = from.Contents
	return s.withFork(fork, f), nil
}

// ResetToSnapshot makes a fork hold what a snapshot holds.
func (s State) ResetToSnapshot(fork, snapshot string) (State, error) {
	f, ok := s.Forks.Get(fork)
	if !ok {
		return s, ErrForkNotFound
	}
	from, ok := s.Snapshots.Get(snapshot)
	if !ok {
		return s, ErrSnapshotNotFound
	}
	f.Contents = from.Contents
	return s.withFork(fork, f), nil
}

func (s State) withFork(name string, f Fork) State {
	s.Forks = s.Forks.Set(name, f)
	return s
}
