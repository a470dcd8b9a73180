package fuzz

import (
	"sync"

	"github.com/tinedb/tine/fuzz/model"
)

// History is what was asked of a store and what it promised: the model's state
// after each mutating operation, and how far the acknowledgements reach. The
// client that does the operations writes it; images are taken by whichever
// goroutine calls the file system, so a lock guards it.
//
// states[0] is the new store, states[k] the state after k operations. synced ≤
// acknowledged ≤ len(states)-1 ≤ acknowledged+1: there is one client.
type History struct {
	mu           sync.Mutex
	states       []model.State
	prints       []uint64 // fingerprint of each state
	acknowledged int
	synced       int
	phase        string // what the client is doing
	births       *births
}

// NewHistory begins with a new store.
func NewHistory() *History {
	h := &History{births: newBirths()}
	h.append(model.New())
	return h
}

func (h *History) append(s model.State) {
	h.states = append(h.states, s)
	h.prints = append(h.prints, s.View().Fingerprint())
}

// begin notes what the client does next; next is the state if it is a mutation,
// else nil.
func (h *History) begin(phase string, next *model.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phase = phase
	if next != nil {
		h.append(*next)
	}
}

// acknowledge notes that the last mutation has succeeded.
func (h *History) acknowledge(durable bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acknowledged = len(h.states) - 1
	if durable {
		h.synced = h.acknowledged
	}
}

// acknowledgeAll notes that everything acknowledged is durable.
func (h *History) acknowledgeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.synced = h.acknowledged
}

// Moment is how far a history was at one moment.
type Moment struct {
	Synced, Acknowledged, Begun int
	Phase                       string
}

func (h *History) now() Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Moment{Synced: h.synced, Acknowledged: h.acknowledged, Begun: len(h.states) - 1, Phase: h.phase}
}

// find gives the greatest k in [low, high] whose state is the view.
func (h *History) find(v model.View, low, high int) (k int, found bool) {
	print := v.Fingerprint()
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := high; k >= low; k-- {
		if h.prints[k] == print && model.Diff(v, h.states[k].View()) == "" {
			return k, true
		}
	}
	return 0, false
}

// state gives the state after k operations.
func (h *History) state(k int) model.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.states[k]
}

// revoke forgets the last mutation: it was refused and has left no trace.
func (h *History) revoke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states, h.prints = h.states[:len(h.states)-1], h.prints[:len(h.prints)-1]
}
