package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// reader is what a fork and a snapshot have in common.
type reader interface {
	Get(key []byte) ([]byte, error)
	AppendGet(dst, key []byte) ([]byte, error)
	NewIter(r engine.Range) (*engine.Iterator, error)
	Scan(r engine.Range) (iter.Seq2[[]byte, []byte], func() error)
}

// engineRange gives a range in the engine's form.
func engineRange(r model.Range) engine.Range {
	var out engine.Range
	if r.Lower != nil {
		out.Lower = []byte(*r.Lower)
	}
	if r.Upper != nil {
		out.Upper = []byte(*r.Upper)
	}
	return out
}

// compareGet looks one key up, into a buffer that already holds something.
func compareGet(r reader, key string, want model.Contents, seen *transcript) error {
	kept := []byte("kept")
	got, err := r.AppendGet(kept, []byte(key))
	seen.saw(got)
	seen.refused(err)
	value, exists := want.Get(key)
	switch {
	case key == "" && errors.Is(err, engine.ErrLimit):
		return nil
	case key == "" || !exists && err == nil:
		return fmt.Errorf("get %q: got %.120q, want no value", key, bytes.TrimPrefix(got, kept))
	case !exists && !errors.Is(err, engine.ErrNotFound):
		return fmt.Errorf("get %q: %w; want no value", key, err)
	case exists && err != nil:
		return fmt.Errorf("get %q: %w; want %.120q", key, err, value)
	case exists && string(got) != "kept"+value:
		return fmt.Errorf("get %q: got %.120q, want %.120q", key, bytes.TrimPrefix(got, kept), value)
	}
	return nil
}

// compareScan walks a range forward and back.
func compareScan(r reader, within model.Range, all model.Contents, seen *transcript) error {
	want := all.Within(within)
	i := 0
	rows, failed := r.Scan(engineRange(within))
	for key, value := range rows {
		seen.saw(key)
		seen.saw(value)
		if err := compareRow(string(key), string(value), i, want); err != nil {
			return fmt.Errorf("scan forward: %w", err)
		}
		i++
	}
	if err := failed(); err != nil {
		return fmt.Errorf("scan forward: after %d of %d rows: %w", i, want.Len(), err)
	}
	if i != want.Len() {
		key, _ := want.At(i)
		return fmt.Errorf("scan forward: ended after %d of %d rows, before %q", i, want.Len(), key)
	}
	return compareBackward(r, within, want, seen)
}

// compareSeek opens an iterator, and looks at a few rows on both sides of a key.
func compareSeek(r reader, key string, want model.Contents, seen *transcript) error {
	h, err := openHeld(r, 0, ops.All, want, seen)
	if err != nil {
		return err
	}
	defer h.it.Close()
	moves := []func() error{h.next, h.next, func() error { return h.seekLT(key) }, h.prev, h.prev}
	err = h.seekGE(key)
	for i := 0; err == nil && i < len(moves); i++ {
		if h.at >= 0 || i == 2 {
			err = moves[i]()
		}
	}
	if err != nil {
		return err
	}
	return h.it.Close()
}

func compareBackward(r reader, within model.Range, want model.Contents, seen *transcript) error {
	it, err := r.NewIter(engineRange(within))
	if err != nil {
		return err
	}
	defer it.Close()
	i := want.Len()
	for ok := it.Last(); ok; ok = it.Prev() {
		i--
		if i < 0 {
			return fmt.Errorf("scan backward: row %q before the first", it.Key())
		}
		seen.saw(it.Key())
		seen.saw(it.Value())
		if err := compareRow(string(it.Key()), string(it.Value()), i, want); err != nil {
			return fmt.Errorf("scan backward: %w", err)
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("scan backward: at %d of %d rows: %w", i, want.Len(), err)
	}
	if i != 0 {
		key, _ := want.At(i - 1)
		return fmt.Errorf("scan backward: ended with %d rows to go, after %q", i, key)
	}
	return it.Close()
}

func compareRow(key, value string, i int, want model.Contents) error {
	if i >= want.Len() {
		return fmt.Errorf("row %q = %.120q after the last", key, value)
	}
	wantKey, wantValue := want.At(i)
	if key != wantKey {
		return fmt.Errorf("row %d is %q = %.120q, want %q", i, key, value, wantKey)
	}
	if value != wantValue {
		return fmt.Errorf("key %q holds %.120q, want %.120q (intact: %v)", key, value, wantValue, ops.Intact(value))
	}
	return nil
}

// readView reads all that a store holds, by scans.
func readView(s *engine.Store) (model.View, error) {
	return readListed(s, listed(s))
}

// readListed reads what is listed.
func readListed(s *engine.Store, l listing) (v model.View, err error) {
	if v.Kin, err = l.kin(); err != nil {
		return v, err
	}
	for _, info := range l.forks {
		f, err := s.Fork(info.Name)
		if err != nil {
			return v, err
		}
		contents, err := readContents(f)
		if err != nil {
			return v, fmt.Errorf("fork %s: %w", info.Name, err)
		}
		v.Forks = v.Forks.Set(info.Name, contents)
	}
	for _, info := range l.snapshots {
		n, err := s.Snapshot(info.Name)
		if err != nil {
			return v, err
		}
		contents, err := readContents(n)
		if err != nil {
			return v, fmt.Errorf("snapshot %s: %w", info.Name, err)
		}
		v.Snapshots = v.Snapshots.Set(info.Name, contents)
	}
	return v, nil
}

func readContents(r reader) (model.Contents, error) {
	var c model.Contents
	rows, failed := r.Scan(engine.Range{})
	last := ""
	for key, value := range rows {
		if c.Len() > 0 && string(key) <= last {
			return c, fmt.Errorf("row %q comes after %q", key, last)
		}
		last = string(key)
		c = c.Set(last, string(value))
	}
	return c, failed()
}

// compareView compares names and parents, and every fork and snapshot by gets and by
// scans both ways.
func compareView(s *engine.Store, want model.View, look func(reader) reader, seen *transcript) error {
	if err := compareNames(s, want, seen); err != nil {
		return err
	}
	for name, contents := range want.Forks.All() {
		f, err := s.Fork(name)
		if err != nil {
			return err
		}
		if err := compareAll(look(f), contents, seen); err != nil {
			return fmt.Errorf("fork %s: %w", name, err)
		}
	}
	for name, contents := range want.Snapshots.All() {
		n, err := s.Snapshot(name)
		if err != nil {
			return err
		}
		if err := compareAll(look(n), contents, seen); err != nil {
			return fmt.Errorf("snapshot %s: %w", name, err)
		}
	}
	return nil
}

func compareNames(s *engine.Store, want model.View, seen *transcript) error {
	var forks, snapshots []string
	l := listed(s)
	for _, info := range l.forks {
		forks = append(forks, info.Name)
	}
	for _, info := range l.snapshots {
		snapshots = append(snapshots, info.Name)
	}
	seen.saw([]byte(fmt.Sprint(forks, snapshots)))
	if got, want := fmt.Sprint(forks), fmt.Sprint(want.Forks.Keys()); got != want {
		return fmt.Errorf("forks are %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(snapshots), fmt.Sprint(want.Snapshots.Keys()); got != want {
		return fmt.Errorf("snapshots are %s, want %s", got, want)
	}
	kin, err := l.kin()
	if err != nil {
		return err
	}
	if d := model.DiffKin(kin, want.Kin); d != "" {
		return errors.New(d)
	}
	return nil
}

func compareAll(r reader, want model.Contents, seen *transcript) error {
	if err := compareScan(r, ops.All, want, seen); err != nil {
		return err
	}
	for key := range want.All() {
		if err := compareGet(r, key, want, seen); err != nil {
			return err
		}
		if err := compareGet(r, key+"\x00", want, seen); err != nil {
			return err
		}
	}
	return nil
}
