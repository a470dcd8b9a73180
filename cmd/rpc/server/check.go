package server

import (
	"errors"
	"fmt"
	"io"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// Check reads all that forks and snapshots reach at one moment: it is a backup that
// nobody keeps, in which every table is verified.
func (s *Server) Check(m *tinepb.CheckRequest, stream tinepb.Tine_CheckServer) error {
	c := callOf(stream.Context())
	if m.GetLevel() == tinepb.CheckRequest_DEEP {
		return fmt.Errorf("%w: a deep check of a store that is running; check a backup of it", wire.ErrUnsupported)
	}
	var failed error
	sink := &nowhere{failed: &failed}
	report, err := c.copy(sink, engine.BackupOptions{Progress: every(func(done, of uint64) error {
		return stream.Send(&tinepb.CheckResponse{What: &tinepb.CheckResponse_Progress{Progress: &tinepb.CheckProgress{Done: done, Of: of}}})
	}, &failed)})
	if failed != nil {
		return failed
	}
	answer := new(tinepb.CheckReport)
	var bad *engine.CorruptError
	switch {
	case errors.As(err, &bad):
		answer.Problems = []*tinepb.Problem{{File: bad.File, Offset: bad.Offset, Text: wire.TextFor(err, c.knows), Forks: wire.Known(bad.Forks, c.knows)}}
	case err != nil:
		return err
	default:
		answer.Ok = true
		answer.Forks, answer.Snapshots = int64(report.Forks), int64(report.Snapshots)
		answer.Tables, answer.TableBytes = int64(report.Tables), report.TableBytes
		answer.Files, answer.LastLsn, answer.LogRecords = int64(report.Files), report.LSN, uint64(report.LogRecords)
	}
	return stream.Send(&tinepb.CheckResponse{What: &tinepb.CheckResponse_Report{Report: answer}})
}

// nowhere takes a backup and keeps nothing of it, until telling of progress fails.
type nowhere struct{ failed *error }

func (n *nowhere) Create(string) (io.WriteCloser, error) { return n, *n.failed }
func (n *nowhere) Write(p []byte) (int, error)           { return len(p), *n.failed }
func (n *nowhere) Close() error                          { return *n.failed }
func (n *nowhere) Finish() error                         { return *n.failed }
