package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// attackers is how many attack at a time.
const attackers = 12

// busy tells whether a node had no room for a call.
func busy(err error) bool { return status.Code(err) == codes.ResourceExhausted }

// plain sends and receives messages as the bytes that they are.
type plain struct{}

func (plain) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (plain) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }
func (plain) Name() string                       { return "proto" }

// A specimen is a request as a client of ours would send it.
type specimen struct {
	method string
	stream bool
	bytes  []byte
}

// specimens are valid requests of all methods, about a fork.
func specimens(name string) (all []specimen) {
	fork := &tinepb.Ref{Name: name}
	from := &tinepb.Source{Of: &tinepb.Source_Fork{Fork: fork}}
	shot := &tinepb.Ref{Name: "play/s"}
	for _, s := range []struct {
		method string
		stream bool
		m      proto.Message
	}{
		{tinepb.Tine_About_FullMethodName, false, &tinepb.AboutRequest{}},
		{tinepb.Tine_Get_FullMethodName, false, &tinepb.GetRequest{Source: from, Keys: [][]byte{[]byte("key-00001"), []byte("key-00002")}, OneMoment: true}},
		{tinepb.Tine_Write_FullMethodName, false, &tinepb.WriteRequest{Forks: []*tinepb.Ref{fork, {Name: "play/1"}}, NoSync: true, Ops: []*tinepb.Op{
			{Kind: tinepb.Op_SET, Key: []byte("k"), Value: []byte("v")}, {Kind: tinepb.Op_DELETE, Fork: 1, Key: []byte("k")},
			{Kind: tinepb.Op_DELETE_RANGE, Key: []byte("a"), Upper: []byte("b")}}}},
		{tinepb.Tine_Write_FullMethodName, false, &tinepb.WriteRequest{Forks: []*tinepb.Ref{fork}, RequestId: newRequestID(),
			Ops: []*tinepb.Op{{Kind: tinepb.Op_SET, Key: []byte("k"), Value: []byte("v")}}}},
		{tinepb.Tine_Scan_FullMethodName, true, &tinepb.ScanRequest{Source: from, Lower: []byte("key-00010"), Upper: []byte("key-00020"), LimitRows: 5, LimitBytes: 4000, MessageBytes: 100}},
		{tinepb.Tine_Sync_FullMethodName, false, &tinepb.SyncRequest{}},
		{tinepb.Tine_CreateForks_FullMethodName, false, &tinepb.CreateForksRequest{From: from, Names: []string{"play/a", "play/b"}, NoSync: true}},
		{tinepb.Tine_GetFork_FullMethodName, false, &tinepb.GetForkRequest{Fork: fork}},
		{tinepb.Tine_ListForks_FullMethodName, false, &tinepb.ListForksRequest{Prefix: "play/", After: "play/0", Limit: 3}},
		{tinepb.Tine_Tree_FullMethodName, true, &tinepb.TreeRequest{}},
		{tinepb.Tine_RenameFork_FullMethodName, false, &tinepb.RenameForkRequest{Fork: fork, Name: "play/c", NoSync: true}},
		{tinepb.Tine_ResetFork_FullMethodName, false, &tinepb.ResetForkRequest{Fork: &tinepb.Ref{Name: "play/1"}, To: from, NoSync: true}},
		{tinepb.Tine_DropForks_FullMethodName, false, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{{Name: "play/a"}}}}, NoSync: true}},
		{tinepb.Tine_DropForks_FullMethodName, false, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: "play/b"}, DryRun: true}},
		{tinepb.Tine_DropForks_FullMethodName, false, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: &tinepb.Ref{Name: "play/b"}}, NoSync: true}},
		{tinepb.Tine_CreateSnapshot_FullMethodName, false, &tinepb.CreateSnapshotRequest{Fork: fork, Name: "play/s", NoSync: true}},
		{tinepb.Tine_GetSnapshot_FullMethodName, false, &tinepb.GetSnapshotRequest{Snapshot: shot}},
		{tinepb.Tine_ListSnapshots_FullMethodName, false, &tinepb.ListSnapshotsRequest{Prefix: "play/", Limit: 2}},
		{tinepb.Tine_RenameSnapshot_FullMethodName, false, &tinepb.RenameSnapshotRequest{Snapshot: shot, Name: "play/t", NoSync: true}},
		{tinepb.Tine_DropSnapshot_FullMethodName, false, &tinepb.DropSnapshotRequest{Snapshot: shot, NoSync: true}},
		{tinepb.Tine_Stats_FullMethodName, false, &tinepb.StatsRequest{}},
		{tinepb.Tine_Check_FullMethodName, true, &tinepb.CheckRequest{Level: tinepb.CheckRequest_FULL}},
		{tinepb.Tine_Flush_FullMethodName, false, &tinepb.FlushRequest{}},
		{tinepb.Tine_Compact_FullMethodName, false, &tinepb.CompactRequest{}},
		{tinepb.Tine_Settle_FullMethodName, false, &tinepb.SettleRequest{}},
		{tinepb.Tine_Backup_FullMethodName, true, &tinepb.BackupRequest{Forks: []*tinepb.Ref{fork}}},
		{"/tine.v1.Tine/NoSuchMethod", false, &tinepb.StatsRequest{}},
		{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true, &tinepb.ListForksRequest{Prefix: "x"}},
	} {
		b, err := proto.Marshal(s.m)
		if err != nil {
			panic(err) // ours are valid
		}
		all = append(all, specimen{s.method, s.stream, b})
	}
	return all
}

// mutate changes a message as a hostile or broken client would.
func mutate(r *rand.Rand, m []byte) []byte {
	m = bytes.Clone(m)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(m) + 1)
		switch r.IntN(8) {
		case 0: // a flipped bit
			if at < len(m) {
				m[at] ^= 1 << r.IntN(8)
			}
		case 1: // a cut
			m = m[:at]
		case 2: // a length or number that is far too large
			m = append(m[:at:at], append(binary.AppendUvarint(nil, r.Uint64()>>r.IntN(64)), m[at:]...)...)
		case 3: // a varint that does not end
			m = append(m[:at:at], append(bytes.Repeat([]byte{0xff}, 1+r.IntN(12)), m[at:]...)...)
		case 4: // a part twice
			from := r.IntN(at + 1)
			m = append(m, m[from:at]...)
		case 5: // an unknown field
			m = append(m, binary.AppendUvarint(nil, uint64(r.IntN(1<<15))<<3|uint64(r.IntN(8)))...)
			m = append(m, byte(r.Uint32()))
		case 6: // bytes of chance
			for i := at; i < len(m) && i < at+8; i++ {
				m[i] = byte(r.Uint32())
			}
		case 7: // a field often: many operations, keys, names
			if len(m) > 0 && len(m) < 200 {
				m = bytes.Repeat(m, 1+r.IntN(50))
			}
		}
	}
	return m
}

// crowd runs n attacks by several attackers, each with a connection of its own.
func (f *fortress) crowd(n int, attack func(ctx context.Context, r *rand.Rand, c *grpc.ClientConn, i int) error) error {
	n /= f.scale
	var group errgroup.Group
	for a := range attackers {
		group.Go(func() error {
			r := rand.New(rand.NewPCG(f.seed, uint64(a)))
			c, err := connect(f.process.address)
			if err != nil {
				return err
			}
			defer c.close()
			for i := a; i < n; i += attackers {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				err := attack(ctx, r, c.conn, i)
				cancel()
				if err != nil {
					return err
				}
				select {
				case <-f.process.dead:
					return fmt.Errorf("the node died: %v\n%s", f.process.ended, f.process.log.Bytes())
				default:
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// send sends bytes as a request and gives the answer's messages, joined.
func (f *fortress) send(ctx context.Context, c *grpc.ClientConn, s specimen) (answer []byte, err error) {
	f.requests.Add(1)
	if !s.stream {
		err = c.Invoke(ctx, s.method, &s.bytes, &answer, grpc.ForceCodec(plain{}))
		return answer, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, s.method, grpc.ForceCodec(plain{}))
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&s.bytes); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	for len(answer) < 1<<20 {
		var m []byte
		if err := stream.RecvMsg(&m); errors.Is(err, io.EOF) {
			return answer, nil
		} else if err != nil {
			return answer, err
		}
		answer = append(answer, m...)
	}
	return answer, nil
}

// refusal demands that an answer to whom may not see the secret is no crash and no
// leak, and tells whether the node refused.
func (f *fortress) refusal(s specimen, answer []byte, err error) (refused bool, fault error) {
	switch {
	case bytes.Contains(answer, []byte(secret)):
		return false, fmt.Errorf("%s %x: the answer holds the secret", s.method, s.bytes)
	case strings.Contains(fmt.Sprint(err), secret):
		return false, fmt.Errorf("%s %x: the error holds the secret: %w", s.method, s.bytes, err)
	case err == nil:
		return false, nil
	}
	switch code := status.Code(err); code {
	case codes.Internal, codes.Unavailable, codes.DataLoss, codes.DeadlineExceeded:
		if code == codes.Internal && strings.HasPrefix(s.method, "/grpc.") {
			return true, nil // so the library's own services call a message that does not decode
		}
		return true, fmt.Errorf("%s %x: %w", s.method, s.bytes, err)
	}
	return true, nil
}

// mutatedMessages sends messages that are more or less wrong, with good, missing and
// foreign credentials.
func (f *fortress) mutatedMessages() error {
	inside, outside := specimens(playgrounds+"0"), specimens(secretFork)
	return f.crowd(150_000, func(ctx context.Context, r *rand.Rand, c *grpc.ClientConn, i int) error {
		k := r.IntN(len(inside))
		s := inside[k]
		who := []string{f.player, f.player, "", f.stranger, "", f.stranger, f.player, f.player}[i%8]
		switch {
		case r.IntN(3) == 0:
			s = outside[k]
		case i%50 == 1: // as it is: some must be right
		default:
			s.bytes = mutate(r, s.bytes)
			f.counts.Add("mutated messages", 1)
		}
		answer, err := f.send(as(ctx, who), c, s)
		refused, fault := f.refusal(s, answer, err)
		if fault != nil {
			return fault
		}
		switch {
		case who == f.player && bytes.Equal(s.bytes, outside[k].bytes) && status.Code(err) == codes.PermissionDenied:
			f.counts.Add("requests beyond the scope, refused", 1)
		case who == "" && refused:
			f.counts.Add("requests without credentials, refused", 1)
		case who == f.stranger && refused:
			f.counts.Add("requests with foreign credentials, refused", 1)
		case who != f.player:
			return fmt.Errorf("%s was done for a caller without right: %x", s.method, s.bytes)
		case refused:
			f.counts.Add("messages refused", 1)
		default:
			f.counts.Add("messages accepted", 1)
		}
		return nil
	})
}

// hostileNames tries names that lead out of what a name is.
func (f *fortress) hostileNames() error {
	names := []string{"", ".", "..", "../x", "play/../vault/one", "play/0\x00", "play/\n", "play/é", "play/\u202e", "play/ ", "/etc/passwd",
		"play/" + strings.Repeat("n", 4096), strings.Repeat("../", 40), "play/%2e%2e", "vault/one", "play\\0", ".tine/requests", "play/0;drop", "@play/0", "*", "play/*"}
	return f.crowd(6_000, func(ctx context.Context, _ *rand.Rand, c *grpc.ClientConn, i int) error {
		name := names[i%len(names)]
		m := tinepb.CreateForksRequest{From: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: "play/0"}}}, Names: []string{name}, NoSync: true}
		var err error
		node := tinepb.NewTineClient(c)
		ctx = as(ctx, f.player)
		f.requests.Add(1)
		switch i % 6 {
		case 0:
			_, err = node.CreateForks(ctx, &m)
		case 1:
			_, err = node.RenameFork(ctx, &tinepb.RenameForkRequest{Fork: &tinepb.Ref{Name: "play/1"}, Name: name, NoSync: true})
		case 2:
			_, err = node.CreateSnapshot(ctx, &tinepb.CreateSnapshotRequest{Fork: &tinepb.Ref{Name: "play/0"}, Name: name, NoSync: true})
		case 3:
			_, err = node.DropForks(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: name}})
		case 4:
			_, err = node.Get(ctx, &tinepb.GetRequest{Source: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: name}}}, Keys: [][]byte{[]byte("key-00001")}})
		case 5:
			_, err = node.Write(ctx, &tinepb.WriteRequest{Forks: []*tinepb.Ref{{Name: name}}, Ops: []*tinepb.Op{{Kind: tinepb.Op_SET, Key: []byte("k")}}})
		}
		// A name is bytes and no path: dots and slashes in it lead nowhere.
		if strings.HasPrefix(name, playgrounds) && engine.CheckName(name) == nil {
			f.counts.Add("names that look hostile and are none", 1)
			return nil
		}
		if err == nil {
			return fmt.Errorf("the name %q was taken", name)
		}
		switch code := status.Code(err); code {
		case codes.Internal, codes.Unknown, codes.Unavailable, codes.DataLoss, codes.DeadlineExceeded:
			// A string that is no UTF-8 cannot be sent; our own library says so.
			return fmt.Errorf("the name %q: %w", name, err)
		}
		f.counts.Add("hostile names refused", 1)
		return nil
	})
}

// largeRequests sends what is larger, or more, than a node takes.
func (f *fortress) largeRequests() error {
	return f.crowd(72*f.scale, func(ctx context.Context, _ *rand.Rand, c *grpc.ClientConn, i int) error {
		node := tinepb.NewTineClient(c)
		fork := &tinepb.Ref{Name: playgrounds + "2"}
		w := &tinepb.WriteRequest{Forks: []*tinepb.Ref{fork}, NoSync: true}
		f.requests.Add(1)
		var err error
		switch i % 5 {
		case 0: // a message above the bound
			w.Ops = []*tinepb.Op{{Kind: tinepb.Op_SET, Key: []byte("k"), Value: make([]byte, 5<<20)}}
			_, err = node.Write(as(ctx, f.player), w)
		case 1: // very many parts in few bytes
			for range 200_000 {
				w.Ops = append(w.Ops, &tinepb.Op{Kind: tinepb.Op_DELETE, Key: []byte("k")})
			}
			_, err = node.Write(as(ctx, f.player), w)
		case 2: // a key above the bound
			w.Ops = []*tinepb.Op{{Kind: tinepb.Op_SET, Key: make([]byte, 1<<20)}}
			_, err = node.Write(as(ctx, f.player), w)
		case 3: // very many names
			m := &tinepb.CreateForksRequest{From: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: fork}}}
			for n := range 100_000 {
				m.Names = append(m.Names, fmt.Sprint("play/n", n))
			}
			_, err = node.CreateForks(as(ctx, f.player), m)
		case 4: // headers above the bound
			_, err = node.About(as(ctx, strings.Repeat("t", 64<<10)), &tinepb.AboutRequest{})
		}
		if err == nil {
			return fmt.Errorf("large request %d was done", i%5)
		}
		// Headers above what the node has announced are refused by our own library.
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Internal && i%5 != 4 {
			return fmt.Errorf("large request %d: %w", i%5, err)
		}
		f.counts.Add("requests too large or too many, refused", 1)
		return nil
	})
}

// mutatedFrames records what a client of ours sends on a connection, and plays it
// again with wrong bytes, straight onto the wire.
func (f *fortress) mutatedFrames() error {
	const callsRecorded = 16
	recorded, err := f.record(callsRecorded)
	if err != nil {
		return err
	}
	return f.crowd(2_400, func(_ context.Context, r *rand.Rand, _ *grpc.ClientConn, _ int) error {
		var wrong []byte
		if r.IntN(10) > 0 {
			// The preface is left alone mostly: without it the node looks at nothing.
			const preface = 24
			tail := mutate(r, recorded[preface:])
			wrong = append(recorded[:preface:preface], tail...)
		} else {
			wrong = mutate(r, recorded)
		}
		conn, err := net.Dial("tcp", f.process.address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil { // what is left open is closed here, or there
			return err
		}
		_, _ = conn.Write(wrong) // the node may hang up meanwhile
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		var answer bytes.Buffer
		_, _ = io.Copy(&answer, io.LimitReader(conn, 1<<20)) // until it hangs up or nothing comes
		if bytes.Contains(answer.Bytes(), []byte(secret)) {
			return fmt.Errorf("mutated frames got the secret out: %x", wrong)
		}
		f.requests.Add(callsRecorded)
		f.counts.Add("streams of mutated frames", 1)
		return nil
	})
}

// recorder is a connection that keeps what is sent on it.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	sent []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.sent = append(r.sent, b...)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// record makes some calls as the player and gives the bytes that they were.
func (f *fortress) record(calls int) ([]byte, error) {
	var rec *recorder
	conn, err := grpc.NewClient("passthrough:///"+f.process.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			rec = &recorder{Conn: c}
			return rec, err
		}))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(as(context.Background(), f.player), patience)
	defer cancel()
	all := specimens(playgrounds + "3")
	for i := range calls {
		_, err := f.send(ctx, conn, all[i%len(all)])
		if code := status.Code(err); code == codes.Unavailable || code == codes.Internal {
			return nil, err
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return bytes.Clone(rec.sent), nil
}

// resets begins calls and gives them up at once, over and over.
func (f *fortress) resets() error {
	return f.crowd(24_000, func(ctx context.Context, _ *rand.Rand, c *grpc.ClientConn, i int) error {
		ctx, cancel := context.WithCancel(as(ctx, f.player))
		defer cancel()
		stream, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, tinepb.Tine_Scan_FullMethodName)
		if err == nil && i%2 == 0 {
			err = stream.SendMsg(&tinepb.ScanRequest{Source: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: playgrounds + "0"}}}})
		}
		if code := status.Code(err); code == codes.Unavailable || code == codes.Internal {
			return err
		}
		f.requests.Add(1)
		f.counts.Add("calls reset at once", 1)
		return nil
	})
}

// unreadScans begins scans and reads nothing of them: the node must end them when
// their lease is over, or it would keep their files for ever.
func (f *fortress) unreadScans() error {
	return f.crowd(240*f.scale, func(ctx context.Context, _ *rand.Rand, c *grpc.ClientConn, i int) error {
		ctx, cancel := context.WithCancel(as(ctx, f.player))
		defer cancel()
		stream, err := tinepb.NewTineClient(c).Scan(ctx, &tinepb.ScanRequest{Source: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: playgrounds + "0"}}}, MessageBytes: 4096})
		if err != nil {
			return err
		}
		f.requests.Add(1)
		f.counts.Add("scans nobody reads", 1)
		if i%8 != 0 {
			return nil // given up, as others are
		}
		// The windows of the connection hold less than the fork does, so the node has to
		// wait; and then it ends the scan, whose error comes behind what was sent.
		select {
		case <-stream.Context().Done():
		case <-time.After(time.Second): // twice the lease
		}
		for err == nil {
			_, err = stream.Recv()
		}
		if !errors.Is(err, io.EOF) && status.Code(err) != codes.ResourceExhausted && status.Code(err) != codes.NotFound && status.Code(err) != codes.DeadlineExceeded && status.Code(err) != codes.Unavailable {
			return fmt.Errorf("a scan that nobody read ended with: %w", err)
		}
		return nil
	})
}
