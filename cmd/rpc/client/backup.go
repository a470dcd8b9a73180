package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// Backup copies the node's store, as it is at one moment, to a sink: see
// engine.Store.Backup. It is not tried again once the first file has begun.
func (c *Client) Backup(ctx context.Context, to engine.BackupSink, o engine.BackupOptions) (*engine.BackupReport, error) {
	m := &tinepb.BackupRequest{}
	for _, n := range o.Snapshots {
		m.Snapshots = append(m.Snapshots, &tinepb.Ref{Name: n.Name, Id: n.ID})
	}
	for _, f := range o.Forks {
		m.Forks = append(m.Forks, &tinepb.Ref{Name: f.Name, Id: f.ID})
	}
	r := &receiver{to: to, hash: xxhash.New(), progress: o.Progress}
	err := c.do(ctx, once, "backup", func(ctx context.Context) (err error) {
		defer func() {
			if err != nil && r.begun {
				err = &final{r.brokenOff(err)}
			}
		}()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.node.Backup(ctx, m)
		if err != nil {
			return err
		}
		for r.end == nil {
			step, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return &wire.Error{Kind: tinepb.Error_INTERNAL, Text: "the node ended a backup before it was whole"}
			}
			if err != nil {
				return err
			}
			if err := r.take(step); err != nil {
				return err
			}
		}
		return to.Finish()
	})
	if err != nil {
		return nil, err
	}
	return &engine.BackupReport{
		LSN: r.end.GetLsn(), Forks: int(r.end.GetForks()), Snapshots: int(r.end.GetSnapshots()),
		Tables: int(r.end.GetTables()), TableBytes: r.end.GetTableBytes(), LogRecords: int(r.end.GetLogRecords()),
		Files: r.files, Bytes: r.bytes,
	}, nil
}

// receiver writes what a node sends of a backup.
type receiver struct {
	to       engine.BackupSink
	progress func(done, total uint64)
	file     io.WriteCloser
	name     string
	size     int64
	hash     *xxhash.Digest
	files    int
	bytes    uint64
	begun    bool // the sink has been asked for a file
	end      *tinepb.BackupEnd
}

// brokenOff is the end of a backup that has begun, with whatever the node says that it
// has not done. What has been written is for the sink's owner to take away.
func (r *receiver) brokenOff(err error) error {
	err = wire.FromStatus(err)
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	return fmt.Errorf("backup broken off after %d files: %w", r.files, err)
}

// take does one step. What comes in a wrong order, or is not what the node read, ends
// the backup.
func (r *receiver) take(step *tinepb.BackupResponse) (err error) {
	switch step := step.GetStep().(type) {
	case *tinepb.BackupResponse_File:
		if r.file != nil {
			return fmt.Errorf("%s begins before %s has ended", step.File.GetName(), r.name)
		}
		r.name, r.size = step.File.GetName(), 0
		r.hash.Reset()
		r.begun = true
		r.file, err = r.to.Create(r.name)
		return err
	case *tinepb.BackupResponse_Data:
		if r.file == nil {
			return errors.New("data came outside of a file")
		}
		n, err := r.file.Write(step.Data)
		r.size += int64(n)
		_, _ = r.hash.Write(step.Data[:n]) // never fails
		return err
	case *tinepb.BackupResponse_FileEnd:
		if r.file == nil {
			return errors.New("a file ended before it began")
		}
		err := r.file.Close()
		r.file = nil
		if err != nil {
			return err
		}
		if e := step.FileEnd; e.GetSize() != r.size || e.GetChecksum() != r.hash.Sum64() {
			return fmt.Errorf("%s did not arrive as it was sent: %d of %d bytes, checksum %x and not %x",
				r.name, r.size, e.GetSize(), r.hash.Sum64(), e.GetChecksum())
		}
		r.files++
		r.bytes += uint64(r.size)
	case *tinepb.BackupResponse_Progress:
		if r.progress != nil {
			r.progress(step.Progress.GetDone(), step.Progress.GetOf())
		}
	case *tinepb.BackupResponse_End:
		if r.file != nil || step.End.GetFiles() != int64(r.files) || step.End.GetBytes() != r.bytes {
			return fmt.Errorf("the backup ended with %d files of %d bytes, %d files of %d bytes were sent", r.files, r.bytes, step.End.GetFiles(), step.End.GetBytes())
		}
		r.end = step.End
	}
	return nil
}
