package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

func TestTheFilesThatAreSentAreAStore(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{ScanMessageBytes: 5000}})
	for i := range 300 {
		n.put("main", fmt.Sprintf("key-%04d", i), strings.Repeat("v", 100))
	}
	n.create("main", "x", "y")
	n.put("x", "key-0001", "x's own")
	require.NoError(t, n.store.Flush())
	n.put("y", "key-0001", "y's own, in memory")

	stream, err := n.Backup(t.Context(), &tinepb.BackupRequest{})
	require.NoError(t, err)
	dir := t.TempDir()
	var file *os.File
	var data []byte
	var end *tinepb.BackupEnd
	files := 0
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Nil(t, end, "a message behind the end")
		switch x := m.GetStep().(type) {
		case *tinepb.BackupResponse_File:
			require.Equal(t, filepath.Base(x.File.GetName()), x.File.GetName())
			file, err = os.Create(filepath.Join(dir, x.File.GetName()))
			require.NoError(t, err)
			data = nil
		case *tinepb.BackupResponse_Data:
			require.LessOrEqual(t, len(x.Data), 5000)
			data = append(data, x.Data...)
		case *tinepb.BackupResponse_FileEnd:
			require.EqualValues(t, len(data), x.FileEnd.GetSize())
			require.Equal(t, xxhash.Sum64(data), x.FileEnd.GetChecksum())
			_, err = file.Write(data)
			require.NoError(t, err)
			require.NoError(t, file.Close())
			files++
		case *tinepb.BackupResponse_End:
			end = x.End
		}
	}
	require.NotNil(t, end)
	require.EqualValues(t, files, end.GetFiles())
	report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckDeep})
	require.NoError(t, err)
	require.True(t, report.OK())
	store, err := engine.Open(dir, &engine.Options{MustExist: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	for name, value := range map[string]string{"main": strings.Repeat("v", 100), "x": "x's own", "y": "y's own, in memory"} {
		f, err := store.Fork(name)
		require.NoError(t, err)
		got, err := f.Get([]byte("key-0001"))
		require.NoError(t, err)
		require.Equal(t, value, string(got))
	}
}

func TestABackupOfSnapshotsAloneIsTheCallersMistake(t *testing.T) {
	n := startNode(t, server.Options{})
	f, err := n.store.Fork("main")
	require.NoError(t, err)
	_, err = f.Snapshot("s")
	require.NoError(t, err)
	err = drained(n.Backup(t.Context(), &tinepb.BackupRequest{Snapshots: []*tinepb.Ref{{Name: "s"}}}))
	require.ErrorIs(t, err, wire.ErrBadRequest)
	require.NotErrorIs(t, err, wire.ErrInternal)
}

func TestABackupOfAForkHasNoOthers(t *testing.T) {
	who := make(users)
	who.grant("operator", "admin ", "read x")
	who.grant("root", "fork *", "read *")
	n := startNode(t, server.Options{Auth: who})
	made, err := n.CreateForks(as(t.Context(), "root"), &tinepb.CreateForksRequest{From: fork("main"), Names: []string{"x"}})
	require.NoError(t, err)
	ctx := as(t.Context(), "operator")
	require.ErrorIs(t, drained(n.Backup(ctx, &tinepb.BackupRequest{})), wire.ErrDenied)
	require.ErrorIs(t, drained(n.Backup(ctx, &tinepb.BackupRequest{Forks: []*tinepb.Ref{ref("main")}})), wire.ErrDenied)
	require.ErrorIs(t, drained(n.Backup(ctx, &tinepb.BackupRequest{Forks: []*tinepb.Ref{{Name: "x", Id: 999}}})), engine.ErrForkNotFound)
	stream, err := n.Backup(ctx, &tinepb.BackupRequest{Forks: made.GetForks()})
	require.NoError(t, err)
	for {
		m, err := stream.Recv()
		require.NoError(t, err)
		if end := m.GetEnd(); end != nil {
			require.EqualValues(t, 1, end.GetForks())
			return
		}
	}
}

// checkRunning gives the report of a check of the running store.
func (n *node) checkRunning() *tinepb.CheckReport {
	stream, err := n.Check(n.t.Context(), &tinepb.CheckRequest{Level: tinepb.CheckRequest_FULL})
	require.NoError(n.t, err)
	for {
		m, err := stream.Recv()
		require.NoError(n.t, err)
		if r := m.GetReport(); r != nil {
			return r
		}
	}
}

func TestACheckOfTheRunningStoreFindsABadBlock(t *testing.T) {
	n := startNode(t, server.Options{})
	for i := range 1000 {
		n.put("main", fmt.Sprintf("key-%04d", i), strings.Repeat("v", 100))
	}
	require.NoError(t, n.store.Flush())
	report := n.checkRunning()
	require.True(t, report.GetOk())
	require.NotZero(t, report.GetTables())
	require.ErrorIs(t, drained(n.Check(t.Context(), &tinepb.CheckRequest{Level: tinepb.CheckRequest_DEEP})), wire.ErrUnsupported)

	tables, err := filepath.Glob(filepath.Join(n.dir, "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	whole, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	bad := append([]byte(nil), whole...)
	bad[len(bad)/3] ^= 1
	require.NoError(t, os.WriteFile(tables[0], bad, 0o644))
	report = n.checkRunning()
	require.False(t, report.GetOk())
	require.Equal(t, filepath.Base(tables[0]), report.GetProblems()[0].GetFile())
	require.NoError(t, os.WriteFile(tables[0], whole, 0o644))
}

func TestABackupIsNoFasterThanItsCallersRate(t *testing.T) {
	for name, stop := range map[string]func(n *node, cancel func()){
		"its caller goes": func(_ *node, cancel func()) { cancel() },
		"the node stops":  func(n *node, _ func()) { require.NoError(t, n.server.Shutdown(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			who := make(users)
			who.grant("operator", "admin ", "read *")
			who["operator"].rates = server.Rates{Bytes: 0.001}
			n := startNode(t, server.Options{Auth: who, Limits: server.Limits{ScanMessageBytes: 4 << 10}})
			main, err := n.store.Fork("main")
			require.NoError(t, err)
			for i := range 400 {
				require.NoError(t, main.Set(fmt.Appendf(nil, "k%03d", i), []byte(strings.Repeat("x", 1<<10)), engine.NoSync))
			}
			require.NoError(t, n.store.Flush())
			ctx, cancel := context.WithCancel(as(t.Context(), "operator"))
			defer cancel()
			stream, err := n.Backup(ctx, &tinepb.BackupRequest{})
			require.NoError(t, err)
			bytes := 0
			for once := sync.OnceFunc(func() { time.AfterFunc(200*time.Millisecond, func() { stop(n, cancel) }) }); ; {
				m, err := stream.Recv()
				if err != nil {
					require.NotErrorIs(t, err, io.EOF, "it went on to the end")
					if name == "the node stops" {
						require.ErrorIs(t, wire.FromStatus(err), wire.ErrDraining)
					}
					break
				}
				if data := m.GetData(); data != nil {
					bytes += len(data)
					once()
				}
			}
			require.LessOrEqual(t, bytes, 8<<10, "of 400 KiB")
			require.Eventually(t, func() bool { return n.server.Load().InFlight == 0 }, time.Minute, time.Millisecond)
		})
	}
}
