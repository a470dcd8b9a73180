package engine

import "time"

// A view costs memory and keeps files, so a fork or snapshot that is not read has
// none: the sweeper lets go of views that nobody has asked for since it last looked
// for such. Who still reads through one goes on; the next read makes another.

// viewIdle is how long a view must be out of use, at least, before it goes; it takes
// at most twice as long.
const viewIdle = 5 * time.Second

// idleViews says when to look for idle views. Its fields are under background.mu.
type idleViews struct {
	after time.Duration
	timer *time.Timer // pending; nil if there is no view to look at
	due   bool
}

// watchViews sees to it that idle views are looked for after a while.
func (s *Store) watchViews() {
	if s.opts.Manual || s.opts.ReadOnly {
		return
	}
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.idle.timer != nil || b.stopping {
		return
	}
	b.idle.timer = time.AfterFunc(b.idle.after, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.idle.timer, b.idle.due = nil, true
		b.memory.pending = true
		b.cond.Broadcast()
	})
}

// watchRest goes on watching if there are views left.
func (s *Store) watchRest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.viewed) > 0 {
		s.watchViews()
	}
}

// lookForIdle tells whether the present sweep shall let go of idle views: with
// Options.Manual each does, else now and then.
func (s *Store) lookForIdle() bool {
	if s.opts.Manual {
		return true
	}
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	due := b.idle.due
	b.idle.due = false
	return due
}
