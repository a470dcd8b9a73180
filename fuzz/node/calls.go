package node

import "fmt"

// outcome is what a caller was told, as far as the model can say that it was right.
type outcome uint8

const (
	done    outcome = iota
	missing         // a fork or snapshot that the call names is not there
	exists          // a name that the call would give is taken
	unknown         // no answer: the process died
)

func (o outcome) String() string {
	return [...]string{"done", "missing", "exists", "no answer"}[o]
}

// A call is one request and what it means in the model. after gives the state that
// the call leaves, and whether it can have had the outcome and the answer in a world
// that was s.
type call interface {
	after(s state, a answer) (state, bool)
}

// answer is what came back. Which fields count depends on the call.
type answer struct {
	outcome  outcome
	contents content // of a read
	places   uint64  // of a list
	world    *state  // of a look at everything
}

// change is one operation of a batch.
type change struct {
	place    int
	from, to int  // keys; the upper one is out of the range
	mark     mark // 0 deletes
}

// write is an atomic batch over several forks.
type write struct{ changes []change }

func (w write) after(s state, a answer) (state, bool) {
	there := true
	for _, c := range w.changes {
		there = there && s.has(c.place)
	}
	if !there || a.outcome == missing {
		return s, a.outcome == missing && !there
	}
	for _, c := range w.changes {
		for k := c.from; k < c.to; k++ {
			s.contents[c.place][k] = c.mark
		}
	}
	return s, a.outcome == done
}

// read sees all keys from one on to another at one moment.
type read struct{ place, from, to int }

func (r read) after(s state, a answer) (state, bool) {
	if !s.has(r.place) {
		return s, a.outcome == missing
	}
	for k := r.from; k < r.to; k++ {
		if s.contents[r.place][k] != a.contents[k] {
			return s, false
		}
	}
	return s, a.outcome == done
}

// fork makes forks, or one snapshot, of one state: all or none.
type fork struct {
	from    int
	targets []int
}

func (f fork) after(s state, a answer) (state, bool) {
	there, taken := s.has(f.from), false
	for _, t := range f.targets {
		taken = taken || s.has(t)
	}
	switch a.outcome {
	case missing:
		return s, !there
	case exists:
		return s, taken
	}
	if !there || taken {
		return s, false
	}
	for _, t := range f.targets {
		s.put(t, s.contents[f.from])
	}
	return s, true
}

// drop takes forks, or one snapshot, away: all or none.
type drop struct{ targets []int }

func (d drop) after(s state, a answer) (state, bool) {
	there := true
	for _, t := range d.targets {
		there = there && s.has(t)
	}
	if !there || a.outcome == missing {
		return s, a.outcome == missing && !there
	}
	for _, t := range d.targets {
		s.drop(t)
	}
	return s, a.outcome == done
}

// reset makes a fork what a fork or snapshot is.
type reset struct{ place, to int }

func (r reset) after(s state, a answer) (state, bool) {
	if !s.has(r.place) || !s.has(r.to) {
		return s, a.outcome == missing
	}
	s.contents[r.place] = s.contents[r.to]
	return s, a.outcome == done
}

// rename gives a fork, or a snapshot, another name.
type rename struct{ place, to int }

func (r rename) after(s state, a answer) (state, bool) {
	there, taken := s.has(r.place), s.has(r.to)
	switch a.outcome {
	case missing:
		return s, !there
	case exists:
		return s, taken
	}
	if !there || taken {
		return s, false
	}
	s.put(r.to, s.contents[r.place])
	s.drop(r.place)
	return s, true
}

// list sees which forks there are, all at one moment.
type list struct{}

func (list) after(s state, a answer) (state, bool) {
	const forks = 1<<forkPlaces - 1
	return s, s.alive&forks == a.places
}

// look sees everything, when nobody else calls.
type look struct{}

func (look) after(s state, a answer) (state, bool) { return s, s == *a.world }

// describe is a call with its answer, for people.
func describe(c call, a answer) string {
	text := fmt.Sprintf("%T%+v: %v", c, c, a.outcome)[len("node."):]
	switch c.(type) {
	case read:
		if a.outcome == done {
			text += fmt.Sprint(" ", a.contents)
		}
	case list:
		text += fmt.Sprintf(" %b", a.places)
	case look:
		text += " " + a.world.String()
	}
	return text
}
