package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// within tells whether a directory, which need not be there yet, is another or lies below
// it, by whatever names and links they are reached.
func within(dir, outer string) (bool, error) {
	of, err := os.Stat(outer)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // nothing is below it
	}
	if err != nil {
		return false, err
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	// What is there of the path, without links: above a link's name lies another
	// directory than above what it leads to.
	for {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			at = real
			break
		}
		if above := filepath.Dir(at); errors.Is(err, fs.ErrNotExist) && above != at {
			at = above
			continue
		}
		return false, err
	}
	for {
		info, err := os.Stat(at)
		if err != nil {
			return false, err
		}
		if os.SameFile(info, of) {
			return true, nil
		}
		above := filepath.Dir(at)
		if above == at {
			return false, nil
		}
		at = above
	}
}

// outside refuses a copy into the directory that is copied: it would be foreign to the
// store, and lost with it.
func outside(to, from string) error {
	switch inside, err := within(to, from); {
	case err != nil:
		return err
	case inside:
		return usagef("%s lies inside %s, which is to be copied: choose a directory outside of it", quote(to), quote(from))
	}
	return nil
}
