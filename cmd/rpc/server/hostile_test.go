package server_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// bytesCodec sends bytes as they are, and looks at no answer.
type bytesCodec struct{}

func (bytesCodec) Name() string                                { return "proto" }
func (bytesCodec) Unmarshal(data mem.BufferSlice, _ any) error { return nil }
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// damage changes a message the way that broken and hostile clients do.
func damage(r *rand.Rand, m []byte) []byte {
	m = append([]byte(nil), m...)
	for range 1 + r.IntN(4) {
		at := 0
		if len(m) > 0 {
			at = r.IntN(len(m))
		}
		switch r.IntN(6) {
		case 0:
			m = m[:at]
		case 1:
			if len(m) > 0 {
				m[at] = byte(r.Uint32())
			}
		case 2: // a huge count or length
			m = append(m[:at:at], append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, m[at:]...)...)
		case 3: // a part twice
			m = append(m[:at:at], m...)
		case 4:
			m = append(m, byte(r.Uint32()), byte(r.Uint32()))
		case 5: // deeply nested
			for range 50 {
				if len(m) > 120 {
					break
				}
				m = append([]byte{0x0a, byte(len(m))}, m...)
			}
		}
	}
	return m
}

func TestDamagedMessagesHurtNobody(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxParts: 1000}})
	n.put("main", "k", "v")
	n.create("main", "x", "y")
	messages := map[string][]proto.Message{
		"Get":         {&tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k"), []byte("l")}, OneMoment: true}},
		"Write":       {batch(idAt(time.Now()), "x", "k", "v"), &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("y")}, Ops: []*tinepb.Op{{Kind: tinepb.Op_DELETE_RANGE, Key: []byte("a"), Upper: []byte("b")}}}},
		"CreateForks": {&tinepb.CreateForksRequest{From: fork("x"), Names: []string{"a", "b"}}},
		"GetFork":     {&tinepb.GetForkRequest{Fork: ref("x")}},
		"ListForks":   {&tinepb.ListForksRequest{Prefix: "x", After: "a", Limit: 7}},
		"RenameFork":  {&tinepb.RenameForkRequest{Fork: ref("a"), Name: "c"}},
		"ResetFork":   {&tinepb.ResetForkRequest{Fork: ref("y"), To: fork("x")}},
		"DropForks": {
			&tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref("a"), ref("b")}}}},
			&tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: "b"}},
			&tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("x")}, DryRun: true},
		},
		"CreateSnapshot": {&tinepb.CreateSnapshotRequest{Fork: ref("x"), Name: "s"}},
		"ListSnapshots":  {&tinepb.ListSnapshotsRequest{Limit: 1}},
		"RenameSnapshot": {&tinepb.RenameSnapshotRequest{Snapshot: ref("s"), Name: "t"}},
		"DropSnapshot":   {&tinepb.DropSnapshotRequest{Snapshot: ref("t")}},
		"Stats":          {&tinepb.StatsRequest{}},
		"Scan":           {&tinepb.ScanRequest{Source: fork("main"), Lower: []byte("a"), Resume: []byte("resume me somewhere"), LimitRows: 1}},
		"Backup":         {&tinepb.BackupRequest{Forks: []*tinepb.Ref{ref("x")}}},
		"Check":          {&tinepb.CheckRequest{}},
	}
	streams := map[string]bool{"Scan": true, "Backup": true, "Check": true}
	conn := n.conn()
	raw := grpc.ForceCodecV2(bytesCodec{})
	r := rand.New(rand.NewPCG(1, 2))
	count := 40
	if testing.Short() {
		count = 10
	}
	refused, served := 0, 0
	for round := range count {
		for method, samples := range messages {
			m, err := proto.Marshal(samples[round%len(samples)])
			require.NoError(t, err)
			m = damage(r, m)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if streams[method] {
				var stream grpc.ClientStream
				stream, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/tine.v1.Tine/"+method, raw)
				if err == nil {
					if err = stream.SendMsg(m); err == nil {
						_ = stream.CloseSend()
						for err == nil {
							err = stream.RecvMsg(new([]byte))
						}
					}
				}
				if errors.Is(err, io.EOF) {
					err = nil
				}
			} else {
				err = conn.Invoke(ctx, "/tine.v1.Tine/"+method, m, new([]byte), raw)
			}
			cancel()
			require.NotContains(t, []codes.Code{codes.Internal, codes.Unavailable, codes.DeadlineExceeded}, status.Code(err), "%s of %x: %v", method, m, err)
			if err != nil {
				refused++
			} else {
				served++
			}
		}
	}
	require.NotZero(t, refused)
	require.NotZero(t, served)
	require.Equal(t, "v", n.get(fork("main"), "k"))
}
