package client_test

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/tinedb/tine/cmd/rpc/client"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// refusing is a node that fails backups: the first few at once, and then one after so
// many steps.
type refusing struct {
	tinepb.UnimplementedTineServer
	early int64
	steps []*tinepb.BackupResponse
	err   error
	calls atomic.Int64
}

func (n *refusing) Backup(_ *tinepb.BackupRequest, stream tinepb.Tine_BackupServer) error {
	if n.calls.Add(1) <= n.early {
		return wire.ToStatus(n.err).Err()
	}
	for _, step := range n.steps {
		if err := stream.Send(step); err != nil {
			return err
		}
	}
	return wire.ToStatus(n.err).Err()
}

// sink counts the files that it is asked for, and those that are closed.
type sink struct{ begun, closed int }

func (k *sink) Create(string) (io.WriteCloser, error) { k.begun++; return k, nil }
func (k *sink) Write(p []byte) (int, error)           { return len(p), nil }
func (k *sink) Close() error                          { k.closed++; return nil }
func (k *sink) Finish() error                         { return errors.New("it was never whole") }

// What a node says that it has not done may be asked for again, but not once files of it
// have begun on this side: a second attempt would write into the first.
func TestABackupThatHasBegunIsNotMadeAgain(t *testing.T) {
	file := &tinepb.BackupResponse{Step: &tinepb.BackupResponse_File{File: &tinepb.BackupFile{Name: "MANIFEST"}}}
	data := &tinepb.BackupResponse{Step: &tinepb.BackupResponse_Data{Data: []byte("x")}}
	progress := &tinepb.BackupResponse{Step: &tinepb.BackupResponse_Progress{Progress: &tinepb.BackupProgress{Of: 1}}}
	for _, err := range []error{wire.Overloadf(time.Millisecond, "no room"), wire.ErrDraining} {
		node := &refusing{early: 2, steps: []*tinepb.BackupResponse{progress, file, data}, err: err}
		l, failed := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, failed)
		s := grpc.NewServer()
		tinepb.RegisterTineServer(s, node)
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		c, failed := client.Dial(l.Addr().String(), client.Options{})
		require.NoError(t, failed)

		var to sink
		_, got := c.Backup(t.Context(), &to, engine.BackupOptions{})
		require.Error(t, got)
		require.ErrorContains(t, got, "backup broken off after 0 files")
		require.True(t, errors.Is(got, wire.ErrOverloaded) || errors.Is(got, wire.ErrDraining), "%v", got)
		require.EqualValues(t, 3, node.calls.Load(), "two that had not begun, and the one that had")
		require.Equal(t, sink{begun: 1, closed: 1}, to)

		require.NoError(t, c.Close())
		s.Stop()
		require.NoError(t, <-served)
	}
}
