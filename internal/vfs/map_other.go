//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// mapShared is not there: only for Linux it is known that a sync of the file writes
// what was stored, and that calls and stores see each other.
func mapShared(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func populate([]byte) error { return errors.ErrUnsupported }

func unmap([]byte) {}
