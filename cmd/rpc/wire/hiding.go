package wire

import (
	"iter"
	"strings"

	"github.com/tinedb/tine/engine"
)

// Known gives the names of which knows says so.
func Known(names []string, knows func(name string) bool) (out []string) {
	for _, name := range names {
		if knows(name) {
			out = append(out, name)
		}
	}
	return out
}

// TextFor is the text of an error without the forks that its CorruptErrors name and of
// which knows does not say so. An error that wraps another has the text of that one in its
// own, since it was made.
func TextFor(err error, knows func(name string) bool) string {
	text := err.Error()
	for bad := range corrupted(err) {
		shown := *bad
		shown.Forks = Known(bad.Forks, knows)
		if len(shown.Forks) < len(bad.Forks) {
			text = strings.ReplaceAll(text, bad.Error(), shown.Error())
		}
	}
	return text
}

// corrupted gives all errors about bad bytes that an error is made of, the outermost first.
func corrupted(err error) iter.Seq[*engine.CorruptError] {
	return func(yield func(*engine.CorruptError) bool) { walk(err, yield) }
}

func walk(err error, yield func(*engine.CorruptError) bool) bool {
	if bad, ok := err.(*engine.CorruptError); ok && !yield(bad) {
		return false
	}
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		if inner := x.Unwrap(); inner != nil {
			return walk(inner, yield)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range x.Unwrap() {
			if !walk(inner, yield) {
				return false
			}
		}
	}
	return true
}
