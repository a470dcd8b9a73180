package server

import (
	"context"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// progressBytes is how often a copy tells how far it is.
const progressBytes = 4 << 20

// Backup sends the files of a copy of the store, as it is at one moment.
func (s *Server) Backup(m *tinepb.BackupRequest, stream tinepb.Tine_BackupServer) error {
	c := callOf(stream.Context())
	var o engine.BackupOptions
	for _, ref := range m.GetForks() {
		f, err := c.fork(ref, VerbRead)
		if err != nil {
			return err
		}
		o.Forks = append(o.Forks, engine.Ref{Name: ref.GetName(), ID: f.ID()})
	}
	for _, ref := range m.GetSnapshots() {
		n, err := c.snapshot(ref, VerbRead)
		if err != nil {
			return err
		}
		o.Snapshots = append(o.Snapshots, engine.Ref{Name: ref.GetName(), ID: n.ID()})
	}
	if len(o.Forks) == 0 && len(o.Snapshots) > 0 {
		return fmt.Errorf("%w: it names snapshots and no fork: a store has one at least", wire.ErrBadRequest)
	}
	if len(o.Forks)+len(o.Snapshots) == 0 && !c.principal.MayAll(VerbRead, "") {
		return fmt.Errorf("%w: %s may not read all forks", wire.ErrDenied, c.principal.Name())
	}
	sink := &streamSink{c: c, stream: stream, most: s.limits.ScanMessageBytes}
	o.Progress = every(func(done, of uint64) error {
		return stream.Send(&tinepb.BackupResponse{Step: &tinepb.BackupResponse_Progress{Progress: &tinepb.BackupProgress{Done: done, Of: of}}})
	}, &sink.err)
	report, err := c.copy(sink, o)
	if err != nil {
		return err
	}
	return stream.Send(&tinepb.BackupResponse{Step: &tinepb.BackupResponse_End{End: &tinepb.BackupEnd{
		Files: int64(report.Files), Bytes: report.Bytes, Lsn: report.LSN, Forks: int64(report.Forks), Snapshots: int64(report.Snapshots),
		Tables: int64(report.Tables), TableBytes: report.TableBytes, LogRecords: int64(report.LogRecords),
	}}})
}

// copy runs the engine's backup, of which each takes memory: one at a time.
func (c *call) copy(to engine.BackupSink, o engine.BackupOptions) (*engine.BackupReport, error) {
	if !c.s.copying.TryLock() {
		return nil, refused(LimitBackups, wire.Overloadf(overloadTime, "another backup or check is under way"))
	}
	defer c.s.copying.Unlock()
	var report *engine.BackupReport
	err := c.s.untilDrained(c.ctx, func(ctx context.Context) (err error) {
		report, err = c.s.store.Backup(ctx, to, o)
		return err
	})
	return report, err
}

// every makes a progress function that tells every few megabytes, and keeps the first
// error.
func every(tell func(done, of uint64) error, failed *error) func(done, of uint64) {
	next := uint64(0)
	return func(done, of uint64) {
		if done < next && done != of || *failed != nil {
			return
		}
		next = done + progressBytes
		*failed = tell(done, of)
	}
}

// streamSink sends the files of a backup as they come. It is used by one goroutine.
type streamSink struct {
	c      *call
	stream tinepb.Tine_BackupServer
	most   int // bytes of a message
	err    error
	size   int64
	sum    *xxhash.Digest
}

func (k *streamSink) send(step *tinepb.BackupResponse) error {
	if k.err == nil {
		k.err = k.stream.Send(step)
	}
	return k.err
}

// Create begins a file.
func (k *streamSink) Create(name string) (io.WriteCloser, error) {
	k.size, k.sum = 0, xxhash.New()
	return k, k.send(&tinepb.BackupResponse{Step: &tinepb.BackupResponse_File{File: &tinepb.BackupFile{Name: name, Size: -1}}})
}

// Write goes on with the file.
func (k *streamSink) Write(p []byte) (int, error) {
	for at := 0; at < len(p); at += k.most {
		part := p[at:min(at+k.most, len(p))]
		if err := k.send(&tinepb.BackupResponse{Step: &tinepb.BackupResponse_Data{Data: part}}); err != nil {
			return at, err
		}
		if k.err = k.c.pace(forEver); k.err == nil && k.c.s.stopping() {
			k.err = wire.ErrDraining
		}
		if k.err != nil {
			return at, k.err
		}
	}
	k.size += int64(len(p))
	_, _ = k.sum.Write(p)
	return len(p), nil
}

// Close ends the file.
func (k *streamSink) Close() error {
	return k.send(&tinepb.BackupResponse{Step: &tinepb.BackupResponse_FileEnd{FileEnd: &tinepb.BackupFileEnd{Size: k.size, Checksum: k.sum.Sum64()}}})
}

// Finish has nothing to do: the answer's end makes the backup count.
func (k *streamSink) Finish() error { return k.err }
