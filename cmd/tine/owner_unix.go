//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// giveOwner gives f the owner and group of another file. It fails where that is not
// allowed, and does nothing where they are the same.
func giveOwner(f *os.File, of fs.FileInfo) error {
	fresh, err := f.Stat()
	if err != nil {
		return err
	}
	have, want := fresh.Sys().(*syscall.Stat_t), of.Sys().(*syscall.Stat_t)
	if have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keep owner %d and group %d: %w", want.Uid, want.Gid, err)
	}
	return nil
}
