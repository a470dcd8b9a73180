package node

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// A channel is a connection to a node that makes calls and gives answers. It does not
// retry: what is sent again, and when, is what is tested. It may be used
// concurrently.
type channel struct {
	conn *grpc.ClientConn
	node tinepb.TineClient
}

func connect(address string) (*channel, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return &channel{conn, tinepb.NewTineClient(conn)}, nil
}

func (l *channel) close() error { return l.conn.Close() }

func ref(place int) *tinepb.Ref { return &tinepb.Ref{Name: nameOf(place)} }

func source(place int) *tinepb.Source {
	if isSnapshot(place) {
		return &tinepb.Source{Of: &tinepb.Source_Snapshot{Snapshot: ref(place)}}
	}
	return &tinepb.Source{Of: &tinepb.Source_Fork{Fork: ref(place)}}
}

// errNoAnswer: the connection broke under a call, which is right if the process was
// killed.
var errNoAnswer = errors.New("no answer")

// outcomeOf is what an error says in the model. One that is neither an answer that
// the model knows nor a broken connection is a fault of the node.
func outcomeOf(err error) (outcome, error) {
	if err == nil {
		return done, nil
	}
	if s, ok := status.FromError(err); ok && s.Code() == codes.Unavailable && len(s.Details()) == 0 {
		return unknown, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	switch told := wire.FromStatus(err); {
	case errors.Is(told, engine.ErrForkNotFound), errors.Is(told, engine.ErrSnapshotNotFound):
		return missing, nil
	case errors.Is(told, engine.ErrForkExists), errors.Is(told, engine.ErrSnapshotExists):
		return exists, nil
	default:
		return unknown, told
	}
}

// make makes a call that is not a batch or a look.
func (l *channel) make(ctx context.Context, p plan) (answer, error) {
	var a answer
	var err error
	switch c := p.call.(type) {
	case read:
		a.contents, err = l.read(ctx, c, p.reverse)
	case fork:
		if isSnapshot(c.targets[0]) {
			_, err = l.node.CreateSnapshot(ctx, &tinepb.CreateSnapshotRequest{Fork: ref(c.from), Name: nameOf(c.targets[0]), NoSync: p.noSync})
			break
		}
		request := &tinepb.CreateForksRequest{From: source(c.from), NoSync: p.noSync}
		for _, t := range c.targets {
			request.Names = append(request.Names, nameOf(t))
		}
		_, err = l.node.CreateForks(ctx, request)
	case drop:
		if isSnapshot(c.targets[0]) {
			_, err = l.node.DropSnapshot(ctx, &tinepb.DropSnapshotRequest{Snapshot: ref(c.targets[0]), NoSync: p.noSync})
			break
		}
		refs := &tinepb.Refs{}
		for _, t := range c.targets {
			refs.Refs = append(refs.Refs, ref(t))
		}
		_, err = l.node.DropForks(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: refs}, NoSync: p.noSync})
	case reset:
		_, err = l.node.ResetFork(ctx, &tinepb.ResetForkRequest{Fork: ref(c.place), To: source(c.to), NoSync: p.noSync})
	case rename:
		if isSnapshot(c.place) {
			_, err = l.node.RenameSnapshot(ctx, &tinepb.RenameSnapshotRequest{Snapshot: ref(c.place), Name: nameOf(c.to), NoSync: p.noSync})
			break
		}
		_, err = l.node.RenameFork(ctx, &tinepb.RenameForkRequest{Fork: ref(c.place), Name: nameOf(c.to), NoSync: p.noSync})
	case list:
		a.places, err = l.list(ctx)
	default:
		panic(fmt.Sprintf("a %T cannot be made so", c))
	}
	a.outcome, err = outcomeOf(err)
	return a, err
}

// batch sends a batch, under a request id or under none.
func (l *channel) batch(ctx context.Context, w write, noSync bool, id *tinepb.RequestId) (a answer, already bool, err error) {
	request := &tinepb.WriteRequest{NoSync: noSync, RequestId: id}
	index := map[int]uint32{}
	for _, c := range w.changes {
		i, known := index[c.place]
		if !known {
			i = uint32(len(request.Forks))
			index[c.place] = i
			request.Forks = append(request.Forks, ref(c.place))
		}
		op := &tinepb.Op{Fork: i, Key: keyOf(c.from)}
		switch {
		case c.mark != 0:
			op.Kind, op.Value = tinepb.Op_SET, valueOf(c.mark, c.from)
		case c.to > c.from+1:
			op.Kind, op.Upper = tinepb.Op_DELETE_RANGE, keyOf(c.to)
		default:
			op.Kind = tinepb.Op_DELETE
		}
		request.Ops = append(request.Ops, op)
	}
	response, err := l.node.Write(ctx, request)
	a.outcome, err = outcomeOf(err)
	return a, response.GetAlreadyApplied(), err
}

// read reads keys with one Get, or all with a scan.
func (l *channel) read(ctx context.Context, r read, reverse bool) (content, error) {
	if r.to-r.from == keys {
		return l.scan(ctx, r.place, reverse)
	}
	request := &tinepb.GetRequest{Source: source(r.place), OneMoment: r.to-r.from > 1}
	for k := r.from; k < r.to; k++ {
		request.Keys = append(request.Keys, keyOf(k))
	}
	response, err := l.node.Get(ctx, request)
	if err != nil {
		return content{}, err
	}
	if len(response.Values) != len(request.Keys) {
		return content{}, fmt.Errorf("asked for %d keys, got %d values", len(request.Keys), len(response.Values))
	}
	var c content
	for i, v := range response.Values {
		if !v.Found {
			continue
		}
		if c[r.from+i], err = markOf(v.Value, r.from+i); err != nil {
			return c, fmt.Errorf("%s: %w", nameOf(r.place), err)
		}
	}
	return c, nil
}

// scan reads a keyspace in small messages.
func (l *channel) scan(ctx context.Context, place int, reverse bool) (content, error) {
	var c content
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // an error below leaves the stream open
	stream, err := l.node.Scan(ctx, &tinepb.ScanRequest{Source: source(place), Reverse: reverse, MessageBytes: 1})
	if err != nil {
		return c, err
	}
	last := -1
	if reverse {
		last = keys
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return c, err // an io.EOF too: the end is told before
		}
		for _, row := range message.Rows {
			var k int
			if _, err := fmt.Sscanf(string(row.Key), "key-%d", &k); err != nil || k < 0 || k >= keys {
				return c, fmt.Errorf("%s has a key %q that nobody wrote", nameOf(place), row.Key)
			}
			if reverse && k >= last || !reverse && k <= last {
				return c, fmt.Errorf("%s: key %d came after key %d", nameOf(place), k, last)
			}
			last = k
			if c[k], err = markOf(row.Value, k); err != nil {
				return c, fmt.Errorf("%s: %w", nameOf(place), err)
			}
		}
		switch message.End {
		case tinepb.ScanResponse_END_UNSPECIFIED:
		case tinepb.ScanResponse_RANGE:
			return c, nil
		default:
			return c, fmt.Errorf("a scan without limits ended with %v", message.End)
		}
	}
}

// list gives the places of all forks.
func (l *channel) list(ctx context.Context) (alive uint64, err error) {
	response, err := l.node.ListForks(ctx, &tinepb.ListForksRequest{})
	if err != nil {
		return 0, err
	}
	if response.Next != "" {
		return 0, fmt.Errorf("a list of %d forks has another page", len(response.Forks))
	}
	for _, f := range response.Forks {
		p, known := placeOf(f.Name)
		if !known {
			return 0, fmt.Errorf("there is a fork %q that nobody made", f.Name)
		}
		alive |= 1 << p
	}
	return alive, nil
}

// look reads everything. Nobody else may call meanwhile.
func (l *channel) look(ctx context.Context) (*state, error) {
	alive, err := l.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the forks: %w", err)
	}
	snapshots, err := l.node.ListSnapshots(ctx, &tinepb.ListSnapshotsRequest{})
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	for _, s := range snapshots.Snapshots {
		p, known := placeOf(s.Name)
		if !known || !isSnapshot(p) {
			return nil, fmt.Errorf("there is a snapshot %q that nobody made", s.Name)
		}
		alive |= 1 << p
	}
	world := new(state)
	for p := range places {
		if alive>>p&1 == 0 {
			continue
		}
		c, err := l.scan(ctx, p, false)
		if err != nil {
			return nil, fmt.Errorf("read all of %s: %w", nameOf(p), err)
		}
		world.put(p, c)
	}
	return world, nil
}
