package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	prng "math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// callers is how many clients call at a time, each one call after the other.
const callers = 8

// A history is what callers did and were told between two looks at everything.
type history struct {
	mu    sync.Mutex
	began time.Time
	calls []porcupine.Operation
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

func (h *history) add(caller int, c call, called int64, a answer) {
	returned := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, porcupine.Operation{ClientId: caller, Input: c, Call: called, Output: a, Return: returned})
}

// A swallowed batch was sent under a request id, and no answer came.
type swallowed struct {
	caller int
	plan   plan
	id     *tinepb.RequestId
	called int64
}

// A stretch is the life of one process, from the first call of clients to the kill.
type stretch struct {
	run     *run
	node    *process
	line    *channel
	history *history
	answers int           // after so many the process is killed
	enough  chan struct{} // closed when there have been so many

	mu       sync.Mutex
	answered int
	lost     []swallowed
	written  map[int]bool // places
}

// call lets clients call until the process is dead.
func (s *stretch) call(seed uint64) error {
	group, ctx := errgroup.WithContext(context.Background())
	group.Go(func() error {
		select {
		case <-s.enough:
		case <-ctx.Done():
		case <-s.node.dead:
			return fmt.Errorf("the node died by itself: %v\n%s", s.node.ended, s.node.log.Bytes())
		}
		s.node.kill()
		return nil
	})
	for i := range callers {
		group.Go(func() error {
			r := prng.New(prng.NewPCG(seed, uint64(i)))
			for {
				goOn, err := s.one(ctx, r, i)
				if err != nil {
					return fmt.Errorf("caller %d: %w", i, err)
				}
				if !goOn {
					return nil
				}
			}
		})
	}
	return errors.Join(group.Wait(), s.line.close())
}

// one makes one call; false if the process is dead.
func (s *stretch) one(ctx context.Context, r *prng.Rand, caller int) (goOn bool, err error) {
	p := draw(r, s.run.marks(marksPerCall))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	called := s.history.now()
	var a answer
	var id *tinepb.RequestId
	if w, ok := p.call.(write); ok {
		if p.retried {
			id = newRequestID()
		}
		a, _, err = s.line.batch(ctx, w, p.noSync, id)
	} else {
		a, err = s.line.make(ctx, p)
	}
	if errors.Is(err, errNoAnswer) {
		return false, s.noAnswer(p, id, caller, called, err)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", describe(p.call, a), err)
	}
	s.history.add(caller, p.call, called, a)
	s.count(p, a)
	return true, nil
}

func newRequestID() *tinepb.RequestId {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return &tinepb.RequestId{Id: id, CreatedUnixMs: time.Now().UnixMilli()}
}

func (s *stretch) count(p plan, a answer) {
	s.run.counts.Add(fmt.Sprintf("%T: %v", p.call, a.outcome)[len("node."):], 1)
	s.run.counts.Add("answers", 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := p.call.(write); ok && a.outcome == done {
		for _, c := range w.changes {
			s.written[c.place] = true
		}
	}
	if s.answered++; s.answered == s.answers {
		close(s.enough)
	}
}

// noAnswer takes note of a call that the kill has cut off. A dead process does
// nothing more, so its death is the end of the call, unless it is sent again.
func (s *stretch) noAnswer(p plan, id *tinepb.RequestId, caller int, called int64, err error) error {
	select {
	case <-s.enough:
	default:
		select {
		case <-s.enough: // another caller has just got the last answer
		case <-time.After(patience):
			return fmt.Errorf("%s: no answer of a node that is alive: %w", describe(p.call, answer{outcome: unknown}), err)
		}
	}
	<-s.node.dead
	s.run.counts.Add("calls without an answer", 1)
	if id != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost = append(s.lost, swallowed{caller, p, id, called})
		return nil
	}
	switch p.call.(type) {
	case read, list: // it has changed nothing
	default:
		s.history.add(caller, p.call, called, answer{outcome: unknown})
	}
	return nil
}

// resend sends a batch again that a kill has swallowed, to the node that runs now.
func (s swallowed) resend(ctx context.Context, r *run, l *channel, h *history) error {
	times := 1
	if s.plan.twice {
		times = 2
	}
	w := s.plan.call.(write)
	answers, already := make([]answer, times), make([]bool, times)
	var group errgroup.Group
	for i := range times {
		group.Go(func() (err error) {
			answers[i], already[i], err = l.batch(ctx, w, s.plan.noSync, s.id)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("send %s again: %w", describe(w, answer{}), err)
	}
	applied := 0
	for i := range times {
		if answers[i] != answers[0] {
			return fmt.Errorf("%s was sent twice under one request id: %v and %v", describe(w, answer{}), answers[0].outcome, answers[i].outcome)
		}
		if answers[i].outcome == done && !already[i] {
			applied++
		}
	}
	if applied > 1 {
		return fmt.Errorf("%s was sent twice under one request id, and applied twice", describe(w, answer{}))
	}
	switch {
	case answers[0].outcome != done:
		r.counts.Add("batches sent again: refused", 1)
	case applied == 0:
		r.counts.Add("batches sent again: applied before the kill", 1)
	default:
		r.counts.Add("batches sent again: applied now", 1)
	}
	if times == 2 {
		r.counts.Add("batches sent again twice at once", 1)
	}
	h.add(s.caller, w, s.called, answers[0])
	return nil
}
