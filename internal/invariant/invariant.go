// Package invariant holds the assertions of the store. A failed one is a bug of
// ours, never of the caller or of the disk, so it panics with a Violation.
//
// Cheap checks are always on. Expensive ones stand behind "if
// invariant.Expensive", a constant that the build tag invariants turns on.
package invariant

import "fmt"

// Violation is what a failed assertion panics with.
type Violation string

// Error makes a Violation readable where a recover turns it into an error.
func (v Violation) Error() string { return "invariant violated: " + string(v) }

// Check panics with a Violation if ok is false. The arguments are formatted
// only then.
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic(Violation(fmt.Sprintf(format, args...)))
	}
}
