package damage

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// reader is what a fork and a snapshot have in common.
type reader interface {
	AppendGet(dst, key []byte) ([]byte, error)
	NewIter(r engine.Range) (*engine.Iterator, error)
	Scan(r engine.Range) (iter.Seq2[[]byte, []byte], func() error)
}

// openReader gives the fork of that name, or the snapshot if it begins with an @,
// as error messages write it.
func openReader(s *engine.Store, who string) (reader, error) {
	if name, snapshot := strings.CutPrefix(who, "@"); snapshot {
		return s.Snapshot(name)
	}
	return s.Fork(who)
}

// row is one key and its value.
type row struct{ key, value string }

// got is what a get answered.
type got struct {
	value string
	found bool
	err   error
}

// reading is all that one fork or snapshot answered: rows in both directions as
// far as they came, and a get for every key there ever was.
type reading struct {
	who             string
	forward, back   []row
	forwardErr, err error // err: of the way back
	gets            []got
}

// read reads a fork or snapshot completely. Which of scans and gets come first
// matters, because what they read is cached.
func read(r reader, who string, keys []string, getsFirst bool) *reading {
	out := &reading{who: who}
	if getsFirst {
		out.get(r, keys)
	}
	rows, failed := r.Scan(engine.Range{})
	for key, value := range rows {
		out.forward = append(out.forward, row{string(key), string(value)})
	}
	out.forwardErr = failed()
	out.back, out.err = backward(r)
	if !getsFirst {
		out.get(r, keys)
	}
	return out
}

func backward(r reader) (rows []row, err error) {
	it, err := r.NewIter(engine.Range{})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.Last(); ok; ok = it.Prev() {
		rows = append(rows, row{string(it.Key()), string(it.Value())})
	}
	return rows, it.Error()
}

func (r *reading) get(from reader, keys []string) {
	r.gets = make([]got, len(keys))
	var buf []byte
	for i, key := range keys {
		var err error
		if buf, err = from.AppendGet(buf[:0], []byte(key)); errors.Is(err, engine.ErrNotFound) {
			continue
		}
		r.gets[i] = got{value: string(buf), found: err == nil, err: err}
	}
}

// failures gives every error met.
func (r *reading) failures() []error {
	var all []error
	for _, err := range []error{r.forwardErr, r.err} {
		if err != nil {
			all = append(all, err)
		}
	}
	for _, g := range r.gets {
		if g.err != nil {
			all = append(all, g.err)
		}
	}
	return all
}

// failure gives the first error met, nil if there was none.
func (r *reading) failure() error {
	if all := r.failures(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// expected is what a fork or snapshot holds, in the forms that it is compared in.
type expected struct {
	rows []row
	keys map[string]string
}

func expect(c model.Contents) *expected {
	e := &expected{keys: map[string]string{}}
	for key, value := range c.All() {
		e.rows = append(e.rows, row{key, value})
		e.keys[key] = value
	}
	return e
}

// wrong tells what was answered wrongly, "" if nothing was: an error is no wrong
// answer, but the rows before it must be right too.
func (r *reading) wrong(want *expected, keys []string) string {
	if d := wrongRows(r.forward, r.forwardErr, len(want.rows), func(i int) row { return want.rows[i] }); d != "" {
		return "scan forward: " + d
	}
	last := len(want.rows) - 1
	if d := wrongRows(r.back, r.err, len(want.rows), func(i int) row { return want.rows[last-i] }); d != "" {
		return "scan backward: " + d
	}
	for i, g := range r.gets {
		value, exists := want.keys[keys[i]]
		if g.err == nil && (g.found != exists || g.value != value) {
			return fmt.Sprintf("get %q: found %v %.90q, want %v %.90q", keys[i], g.found, g.value, exists, value)
		}
	}
	return ""
}

func wrongRows(rows []row, err error, want int, at func(int) row) string {
	for i, got := range rows {
		if i >= want {
			return fmt.Sprintf("row %.90q comes after the last", got)
		}
		if got != at(i) {
			return fmt.Sprintf("row %d is %.90q, want %.90q", i, got, at(i))
		}
	}
	if err == nil && len(rows) < want {
		return fmt.Sprintf("it ends after %d of %d rows", len(rows), want)
	}
	return ""
}
