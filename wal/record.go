package wal

import (
	"fmt"

	"github.com/tinedb/tine/internal/ids"
)

// Kind tells what a record says. The values are part of the log's format.
type Kind uint8

// The kinds of record. What each one's payload holds is the type of the same
// name; a KindBatch payload is a list of BatchPart.
const (
	KindBatch          Kind = 1
	KindFork           Kind = 2
	KindSnapshot       Kind = 3
	KindDrop           Kind = 4
	KindDropSnapshot   Kind = 5
	KindRename         Kind = 6
	KindRenameSnapshot Kind = 7
	KindReset          Kind = 8
	KindFreeze         Kind = 9
	KindNodeImage      Kind = 10
	KindForkMany       Kind = 11
	KindDropMany       Kind = 12

	kindMark Kind = 255 // the log's own sync mark; Replay never hands one out
)

var kindNames = map[Kind]string{
	KindBatch:          "batch",
	KindFork:           "fork",
	KindSnapshot:       "snapshot",
	KindDrop:           "drop",
	KindDropSnapshot:   "drop-snapshot",
	KindRename:         "rename",
	KindRenameSnapshot: "rename-snapshot",
	KindReset:          "reset",
	KindFreeze:         "freeze",
	KindNodeImage:      "node-image",
	KindForkMany:       "fork-many",
	KindDropMany:       "drop-many",
	kindMark:           "mark",
}

// String gives the name that Dump prints.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// known tells whether a frame of kind k may stand in a segment.
func (k Kind) known() bool { return k >= KindBatch && k <= KindDropMany || k == kindMark }

// Record is one entry of the log as Replay hands it out. Payload aliases the
// replay's buffer: it is good until the callback returns.
type Record struct {
	LSN     ids.LSN
	Kind    Kind
	Payload []byte
}
