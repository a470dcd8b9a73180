package fuzz

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// sentinels tells for each refusal of the model the engine's error.
var sentinels = map[error]error{
	model.ErrKeyNotFound:      engine.ErrNotFound,
	model.ErrForkNotFound:     engine.ErrForkNotFound,
	model.ErrForkExists:       engine.ErrForkExists,
	model.ErrSnapshotNotFound: engine.ErrSnapshotNotFound,
	model.ErrSnapshotExists:   engine.ErrSnapshotExists,
	model.ErrLastFork:         engine.ErrProtected,
	model.ErrNameTwice:        engine.ErrInvalidName,
	model.ErrEmptyKey:         engine.ErrLimit,
	model.ErrRange:            engine.ErrInvalidRange,
}

// Disagreement says that the store did other than the model says.
type Disagreement struct {
	Op   ops.Op
	Text string
	Err  error // the store's error, if it gave one that it should not give
}

// Error names the operation and what was wrong with it.
func (d *Disagreement) Error() string { return fmt.Sprintf("%s: %s", d.Op, d.Text) }

// Unwrap gives the store's error.
func (d *Disagreement) Unwrap() error { return d.Err }

// agree tells whether the store's error is the one that the model wants. want is
// an error of package model, or nil.
func agree(op ops.Op, got, want error) error {
	switch {
	case want == nil && got == nil:
		return nil
	case want == nil:
		return &Disagreement{op, fmt.Sprintf("failed: %v", got), got}
	case got == nil:
		return &Disagreement{op, fmt.Sprintf("succeeded, want %q", want), nil}
	case !errors.Is(got, sentinels[want]):
		return &Disagreement{op, fmt.Sprintf("failed with %q, want %q", got, want), got}
	}
	return nil
}

// differ makes a Disagreement of a text.
func differ(op ops.Op, format string, args ...any) error {
	return &Disagreement{Op: op, Text: fmt.Sprintf(format, args...)}
}

// refusal gives the name of the refusal that an error of the store is.
func refusal(err error) string {
	if err == nil {
		return "done"
	}
	for want, sentinel := range sentinels {
		if want != model.ErrEmptyKey && errors.Is(err, sentinel) {
			return want.Error()
		}
	}
	if errors.Is(err, engine.ErrLimit) {
		return model.ErrEmptyKey.Error()
	}
	return err.Error()
}
