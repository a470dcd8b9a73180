package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestErrorsHaveTheirExitCodes(t *testing.T) {
	corrupt := &engine.CorruptError{File: "000007.sst", Offset: 42, Err: errors.New("bad checksum")}
	for _, c := range []struct {
		name string
		err  error
		code int
	}{
		{"anything else", errors.New("odd"), exitError},
		{"a full disk", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, exitNoSpace},
		{"a full disk, as the engine says it", engine.ErrNoSpace, exitNoSpace},
		{"a disk mounted read-only", &fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, exitNoSpace},
		{"a missing permission", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, exitNoSpace},
		{"an interrupted call", context.Canceled, exitInterrupted},
		{"damage", corrupt, exitCorrupt},
		{"damage met while closing", errors.Join(engine.ErrNotFound, corrupt), exitCorrupt},
		{"an old format", engine.ErrOldFormat, exitError},
		{"a key that is not there", engine.ErrNotFound, exitNotFound},
		{"a snapshot that is not there", engine.ErrSnapshotNotFound, exitNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errOut bytes.Buffer
			a := &app{errOut: &errOut}
			require.Equal(t, c.code, a.fail(fmt.Errorf("get: %w", c.err)))
			require.Equal(t, 1, strings.Count(errOut.String(), "\n"))
			require.Contains(t, exitCodesText, fmt.Sprintf("%5d  ", c.code), "the code is documented")
		})
	}
}

// failing is an output that takes nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatFailsIsAnError(t *testing.T) {
	dir := newStore(t)
	for _, args := range [][]string{{"get", "a/1"}, {"scan"}, {"fork", "list"}, {"fork", "tree"}, {"stats"}, {"check"}, {"dump", "manifest"}, {"version"}} {
		var errOut bytes.Buffer
		require.Equal(t, exitNoSpace, run(in(dir, args...), strings.NewReader(""), failing{}, &errOut), "%q", args)
	}
}
