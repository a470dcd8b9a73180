package engine

import "github.com/tinedb/tine/manifest"

// maxOwed is how many forks and snapshots may have changed before they are
// published although nothing else is. At owedTooMany whoever changes more waits for
// that: so few, and what a drop frees, fit into the space that the manifest holds
// ready for a full disk; from when it has begun to use that up, no more are made. And
// since a transaction is made under the lock, more of them
// would be noticed by everybody.
const (
	maxOwed     = 512
	owedTooMany = 4 * maxOwed
)

// owe counts changes of forks and snapshots, and sees to it that they are published
// now and then. That is done by a goroutine of its own, so that a fork that need not
// be durable waits for no disk; with Manual, by the caller.
func (s *Store) owe(changes int) {
	if n := s.owed.Add(uint64(changes)); n/maxOwed == (n-uint64(changes))/maxOwed {
		return
	}
	switch {
	case s.opts.Manual:
		s.publishOwed()
	case s.owesTooMuch():
		_ = s.man.Sync(s.man.Last()) // of what is under way; the next one is left to the goroutine
		s.publishIfMany()
		s.publishSoon()
	default:
		s.publishSoon()
	}
}

func (s *Store) owesTooMuch() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.tree.Owed() > owedTooMany
}

// publishSoon has what is owed published in the background, and what is published made
// durable, if that is not being done already. Close waits for it.
func (s *Store) publishSoon() {
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopping || b.owing {
		return
	}
	b.owing = true
	b.wg.Go(func() {
		_ = s.contained(func() error {
			s.publishIfMany()
			return s.man.Sync(s.man.Last())
		})
		b.mu.Lock()
		b.owing = false
		b.mu.Unlock()
	})
}

// publishOwed publishes changed forks if there are many. That saves later work
// only, so that an error is left to whoever needs the manifest next; and while one
// transaction cannot be written, none is added.
func (s *Store) publishOwed() {
	if at := s.publishIfMany(); at != 0 {
		_ = s.man.Sync(at)
	}
}

func (s *Store) publishIfMany() manifest.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.tree.Owed() <= maxOwed || s.man.Durable() != s.man.Last() {
		return 0
	}
	return s.publishLocked()
}
