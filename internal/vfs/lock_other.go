//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package vfs

import (
	"errors"
	"os"
)

// lockFile refuses: a store that two processes may write is worse than one that
// does not open.
func lockFile(*os.File) error { return errors.ErrUnsupported }
