//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// syncData is the full sync: the lighter one is not in every system's std
// package, and on Darwin only File.Sync reaches the disk.
func syncData(f *os.File) error { return f.Sync() }

// reserve is not there: Preallocate writes zeros.
func reserve(*os.File, int64) error { return errors.ErrUnsupported }
