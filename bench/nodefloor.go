package main

import (
	"context"
	"net"

	"google.golang.org/grpc"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// floorServer answers a node's calls without doing anything: what is left is the
// library, the client and the wire.
type floorServer struct {
	tinepb.UnimplementedTineServer
	grpc    *grpc.Server
	addr    string
	value   []byte
	scanned int // rows of a scan
}

// floorClient is a client of it: values are not those of the rows that it asks for.
type floorClient struct{ *nodeClient }

func startFloor(rows int) (*floorServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &floorServer{grpc: grpc.NewServer(), addr: l.Addr().String(), value: newRow(nil, 0, 0), scanned: rows}
	tinepb.RegisterTineServer(s.grpc, s)
	go s.grpc.Serve(l) // ends with stop
	return s, nil
}

func (s *floorServer) name() string { return "floor" }

func (s *floorServer) connect() (rpcClient, error) {
	c, err := dialNode(s.addr)
	return &floorClient{c}, err
}

func (s *floorServer) stop() error {
	s.grpc.Stop()
	return nil
}

func (s *floorServer) GetFork(context.Context, *tinepb.GetForkRequest) (*tinepb.GetForkResponse, error) {
	return &tinepb.GetForkResponse{Fork: &tinepb.ForkInfo{Id: 1, Name: engine.MainFork}}, nil
}

func (s *floorServer) Get(_ context.Context, m *tinepb.GetRequest) (*tinepb.GetResponse, error) {
	out := &tinepb.GetResponse{Id: 1}
	for range m.GetKeys() {
		out.Values = append(out.Values, &tinepb.Value{Found: true, Value: s.value})
	}
	return out, nil
}

func (s *floorServer) Write(context.Context, *tinepb.WriteRequest) (*tinepb.WriteResponse, error) {
	return &tinepb.WriteResponse{Ids: []uint64{1}}, nil
}

func (s *floorServer) CreateForks(_ context.Context, m *tinepb.CreateForksRequest) (*tinepb.CreateForksResponse, error) {
	out := &tinepb.CreateForksResponse{FromId: 1}
	for _, name := range m.GetNames() {
		out.Forks = append(out.Forks, &tinepb.Ref{Name: name, Id: 2})
	}
	return out, nil
}

// Scan sends as many rows as it was told, in messages of the size that a node's have.
func (s *floorServer) Scan(_ *tinepb.ScanRequest, to grpc.ServerStreamingServer[tinepb.ScanResponse]) error {
	const messageBytes = 128 << 10
	k := key(nil, 0)
	for left := s.scanned; left > 0; {
		m := &tinepb.ScanResponse{Resume: k, Id: 1}
		for n := 0; n < messageBytes && left > 0; left-- {
			m.Rows = append(m.Rows, &tinepb.Row{Key: k, Value: s.value})
			n += len(k) + len(s.value)
		}
		if left == 0 {
			m.End = tinepb.ScanResponse_RANGE
		}
		if err := to.Send(m); err != nil {
			return err
		}
	}
	return nil
}
