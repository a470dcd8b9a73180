package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// The exit codes. Scripts depend on them: a number never changes its meaning.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitBusy        = 4
	exitCorrupt     = 5
	exitNoSpace     = 6
	exitDenied      = 7
	exitUnreached   = 8
	exitInterrupted = 130
)

const exitCodesText = `Exit codes of tine:
    0  done
    1  any other error
    2  usage: unknown command or flag, bad argument, or --yes missing
    3  not found: no such key, fork or snapshot
    4  the store is in use by another process
    5  corruption found: the message names file and offset
    6  the disk is full or read-only, or the permission is missing
    7  the node does not know the caller, or does not let it do that
    8  the node cannot be reached, has no room, or is being stopped; try again
  130  interrupted; an import goes on when it is started again`

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  exitCodesText,
	}
}

// A usageError is a call that cannot be carried out as it was written.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// problem is an error as --json prints it.
type problem struct {
	Error  string   `json:"error"`
	Kind   string   `json:"kind"`
	Code   int      `json:"code"`
	File   string   `json:"file,omitempty"`
	Offset *int64   `json:"offset,omitempty"`
	Forks  []string `json:"forks,omitempty"`
}

// classify finds the exit code of an error, a word for it, and what to do about
// it where the message does not say.
func classify(err error) (code int, kind, advice string) {
	var usage *usageError
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &usage):
		return exitUsage, "usage", ""
	case is(context.Canceled):
		return exitInterrupted, "interrupted", "start it again to go on"
	case is(wire.ErrUnauthenticated):
		return exitDenied, "unauthenticated", "give a token with --token-file or TINE_TOKEN"
	case is(wire.ErrDenied):
		return exitDenied, "denied", ""
	case is(wire.ErrOverloaded):
		return exitUnreached, "overloaded", "try again"
	case is(wire.ErrDraining, wire.ErrTimedOut) || isUnreached(err):
		return exitUnreached, "unreached", "see whether the node runs and --addr is its address"
	case is(wire.ErrNodeLimit):
		return exitUsage, "node_limit", "a node takes larger rows if it is started with a larger --max-receive-bytes"
	case is(engine.ErrCorrupt):
		return exitCorrupt, "corrupt", "'tine check --level full' lists all damage"
	case is(engine.ErrUndecided):
		return exitError, "undecided", "nothing was removed; the next command that writes settles it and removes what is left over"
	case is(engine.ErrNewerFormat):
		return exitError, "newer_format", "use a newer version of tine"
	case is(engine.ErrOldFormat):
		return exitError, "old_format", "export the rows with the version of tine that wrote them, and import them here"
	case is(engine.ErrNotFound):
		return exitNotFound, "not_found", ""
	case is(engine.ErrForkNotFound):
		return exitNotFound, "fork_not_found", "'tine fork list' lists the forks"
	case is(engine.ErrSnapshotNotFound):
		return exitNotFound, "snapshot_not_found", "'tine snapshot list' lists the snapshots"
	case is(engine.ErrLocked):
		return exitBusy, "busy", "another process has the store open; wait for it to end or stop it"
	case is(engine.ErrNoSpace, syscall.ENOSPC, syscall.EDQUOT):
		return exitNoSpace, "no_space", "free space on the disk and try again"
	case is(engine.ErrReadOnly, fs.ErrPermission, syscall.EROFS):
		return exitNoSpace, "read_only", "check the permissions of the directory and how its disk is mounted"
	case is(engine.ErrInvalidName, engine.ErrInvalidRange, engine.ErrLimit):
		return exitUsage, "invalid", ""
	case is(engine.ErrForkExists, engine.ErrSnapshotExists):
		return exitError, "exists", "choose another name"
	case is(engine.ErrNotStore):
		return exitError, "not_a_store", "give the directory of a store with --data; 'tine put' and 'tine import' make a new one in an empty directory"
	case is(engine.ErrProtected):
		return exitError, "protected", "a store keeps at least one fork"
	}
	return exitError, "error", ""
}

// isUnreached tells of an error that came from the connection and not from the node.
func isUnreached(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == codes.Unavailable
}

// fail prints err as one line, or as one JSON object, and gives its exit code.
func (a *app) fail(err error) int {
	var reported *reportedError
	if errors.As(err, &reported) {
		return reported.code
	}
	code, kind, advice := classify(err)
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if advice != "" {
		text += "; " + advice
	}
	if !a.json {
		fmt.Fprintf(a.errOut, "tine: %s\n", text)
		return code
	}
	p := problem{Error: text, Kind: kind, Code: code}
	var corrupt *engine.CorruptError
	if errors.As(err, &corrupt) {
		p.File, p.Forks = corrupt.File, corrupt.Forks
		if corrupt.Offset >= 0 {
			p.Offset = &corrupt.Offset
		}
	}
	line, _ := json.Marshal(p) // strings and numbers only: it cannot fail
	fmt.Fprintf(a.errOut, "%s\n", line)
	return code
}

// A reportedError ends the command with a code after everything there is to say
// has been printed.
type reportedError struct{ code int }

func (e *reportedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
