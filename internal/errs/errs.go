// Package errs holds the errors that every layer of the store returns and the
// engine re-exports. A caller's mistake is a sentinel, bad bytes are a
// CorruptError that names file and offset, and a bug of our own is not an error
// at all but an assertion (package invariant).
package errs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrCorrupt is matched by every CorruptError.
var ErrCorrupt = errors.New("corrupt data")

// ErrNewerFormat says that a file was written by a newer version of the format
// than this program knows.
var ErrNewerFormat = errors.New("written in a newer format, which a newer version of tine reads")

// ErrOldFormat says that a file was written by an older version of the format, which
// this program has no code for any more.
var ErrOldFormat = errors.New("written in an older format, which this version of tine does not read any more")

// ErrNoSpace says that the disk is full. It is returned only where nothing has
// changed and the call may be tried again.
var ErrNoSpace = errors.New("no space left on device")

// CorruptError says which bytes are bad. errors.Is(err, ErrCorrupt) holds.
type CorruptError struct {
	File   string   // as named in the store's directory
	Offset int64    // of the first bad byte; -1 if unknown
	Err    error    // what was wrong with it
	Forks  []string // the forks that read through the file, if known
}

// Corruptf makes a CorruptError whose cause is the formatted text.
func Corruptf(file string, offset int64, format string, args ...any) *CorruptError {
	return &CorruptError{File: file, Offset: offset, Err: fmt.Errorf(format, args...)}
}

// maxShownForks bounds the forks that a message names; Forks has them all.
const maxShownForks = 8

// Error names the file, the offset, the cause and the forks that are hit.
func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "corrupt data in %s", e.File)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at offset %d", e.Offset)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if n := len(e.Forks); n > maxShownForks {
		fmt.Fprintf(&b, " (forks hit: %s and %d more)", strings.Join(e.Forks[:maxShownForks], ", "), n-maxShownForks)
	} else if n > 0 {
		fmt.Fprintf(&b, " (forks hit: %s)", strings.Join(e.Forks, ", "))
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrCorrupt) hold.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// IsNoSpace tells whether err means a full disk or a used-up quota.
func IsNoSpace(err error) bool {
	return errors.Is(err, ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
