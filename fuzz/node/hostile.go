package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/tinedb/tine/cmd/rpc/auth"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// A guarded node has a secret fork that one token may read, and everybody else tries
// to: its rows must come out of no answer, and be as they were in the end.
const (
	secretFork  = "vault/one"
	secret      = "Kn0wn-to-the-owner-alone"
	memoryCap   = 640 << 20 // bytes of resident memory that the process may ever have had
	nodeMemory  = 64 << 20  // --max-bytes-in-flight
	nodeLease   = "500ms"
	playgrounds = "play/"
)

// Hostile sends a node what no client of ours sends.
func Hostile() fuzz.Trial {
	return fuzz.Trial{
		Name: "node-hostile",
		Runs: 1,
		Run: func(seed uint64, counts *fuzz.Counts) error {
			return inDirectory(func(dir string) error { return attack(dir, seed, 1, counts) })
		},
		Sometimes: map[string]int{
			"requests": 200_000, "mutated messages": 95_000, "messages refused": 20_000, "messages accepted": 5_000,
			"requests without credentials, refused": 10_000, "requests with foreign credentials, refused": 10_000,
			"requests beyond the scope, refused": 10_000, "streams of mutated frames": 2_000, "calls reset at once": 20_000,
			"scans nobody reads": 200, "hostile names refused": 2_000, "requests too large or too many, refused": 40,
			"honest calls meanwhile": 200, "nodes alive in the end": 1,
		},
	}
}

// fortress is the node under attack, and what attackers need.
type fortress struct {
	process *process
	counts  *fuzz.Counts
	seed    uint64
	scale   int // budgets are divided by it

	owner, player, stranger string // tokens: of all, of play/ alone, of another node
	requests                atomic.Int64
}

// attack lets all attacks run, one kind after the other, while an honest client works,
// and asks in the end whether anything has given way.
func attack(dir string, seed uint64, scale int, counts *fuzz.Counts) error {
	binary, err := build(dir)
	if err != nil {
		return err
	}
	f := &fortress{counts: counts, seed: seed, scale: scale}
	tokens := filepath.Join(dir, "tokens")
	if err := f.issue(tokens); err != nil {
		return err
	}
	store := filepath.Join(dir, "in", "store")
	if err := os.MkdirAll(filepath.Dir(store), 0o700); err != nil {
		return err
	}
	if f.process, err = start(binary, store, "--tokens", tokens, "--lease", nodeLease,
		"--max-bytes-in-flight", fmt.Sprint(nodeMemory), "--max-connections", "64", "--log-level", "error"); err != nil {
		return err
	}
	defer f.process.kill()
	if err := f.furnish(); err != nil {
		return err
	}
	for _, kind := range []struct {
		name   string
		attack func() error
	}{
		{"mutated messages", f.mutatedMessages}, {"hostile names", f.hostileNames}, {"large requests", f.largeRequests},
		{"mutated frames", f.mutatedFrames}, {"resets", f.resets}, {"scans that nobody reads", f.unreadScans},
	} {
		if err := f.whileWorking(kind.attack); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		if peak, err := f.process.peakMemory(); err != nil || peak > memoryCap {
			return fmt.Errorf("%s: the node has had %d MiB of memory, the cap is %d MiB (%v)", kind.name, peak>>20, memoryCap>>20, err)
		}
	}
	counts.Add("requests", int(f.requests.Load()))
	if err := f.unharmed(); err != nil {
		return err
	}
	if err := f.process.stop(); err != nil {
		return err
	}
	if log := f.process.log.String(); strings.Contains(log, "panic") {
		return fmt.Errorf("a request made the node panic:\n%s", log)
	}
	counts.Add("nodes alive in the end", 1)
	if err := onlyIn(filepath.Join(dir, "in"), "store"); err != nil {
		return err
	}
	return (&run{dir: store, counts: counts}).check(engine.CheckDeep)
}

// onlyIn demands that a directory holds one entry and no more: names of forks lead to
// no files.
func onlyIn(dir, name string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) != 1 || entries[0].Name() != name {
		return fmt.Errorf("the node has left its directory: %v", entries)
	}
	return nil
}

func (f *fortress) issue(path string) error {
	var lines strings.Builder
	for _, t := range []struct {
		token  *string
		name   string
		fields []string
		known  bool
	}{
		{&f.owner, "owner", []string{"admin", "read=*,@*", "write=*", "fork=*,@*"}, true},
		{&f.player, "player", []string{"read=" + playgrounds + "*", "write=" + playgrounds + "*", "fork=" + playgrounds + "*"}, true},
		{&f.stranger, "stranger", []string{"admin", "read=*,@*", "write=*", "fork=*,@*"}, false},
	} {
		token, entry, err := auth.Issue(t.name, t.fields...)
		if err != nil {
			return err
		}
		*t.token = token
		if t.known {
			fmt.Fprintln(&lines, entry.Line())
		}
	}
	return os.WriteFile(path, []byte(lines.String()), 0o600)
}

// as is a context with a token; with none if that is empty.
func as(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// furnish makes the secret fork, and forks to play with.
func (f *fortress) furnish() error {
	c, err := connect(f.process.address)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(as(context.Background(), f.owner), patience)
	defer cancel()
	names := []string{secretFork}
	for i := range 8 {
		names = append(names, fmt.Sprintf(playgrounds+"%d", i))
	}
	if _, err := c.node.CreateForks(ctx, &tinepb.CreateForksRequest{From: source(0), Names: names}); err != nil {
		return err
	}
	request := &tinepb.WriteRequest{Forks: []*tinepb.Ref{{Name: secretFork}, {Name: names[1]}}}
	for i := range 2000 {
		key := fmt.Appendf(nil, "key-%05d", i)
		request.Ops = append(request.Ops,
			&tinepb.Op{Kind: tinepb.Op_SET, Fork: 0, Key: key, Value: []byte(secret)},
			&tinepb.Op{Kind: tinepb.Op_SET, Fork: 1, Key: key, Value: make([]byte, 1000)})
	}
	_, err = c.node.Write(ctx, request)
	return err
}

// whileWorking runs an attack while an honest client works. The node may be too busy
// for that now and then, and says so; what it answers must be right.
func (f *fortress) whileWorking(attack func() error) error {
	ctx, stop := context.WithCancel(context.Background())
	var group errgroup.Group
	group.Go(func() error {
		defer stop()
		return attack()
	})
	group.Go(func() error {
		c, err := connect(f.process.address)
		if err != nil {
			return err
		}
		defer c.close()
		for ctx.Err() == nil {
			if err := f.honest(c); err != nil {
				return fmt.Errorf("an honest client meanwhile: %w", err)
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		return nil
	})
	return group.Wait()
}

// honest reads a secret row as its owner.
func (f *fortress) honest(c *channel) error {
	ctx, cancel := context.WithTimeout(as(context.Background(), f.owner), patience)
	defer cancel()
	response, err := c.node.Get(ctx, &tinepb.GetRequest{
		Source: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: secretFork}}}, Keys: [][]byte{[]byte("key-00007")}})
	if busy(err) {
		f.counts.Add("honest calls put off", 1)
		return nil
	}
	if err != nil {
		return err
	}
	if len(response.Values) != 1 || string(response.Values[0].Value) != secret {
		return fmt.Errorf("it got %v", response)
	}
	f.counts.Add("honest calls meanwhile", 1)
	return nil
}

// unharmed demands that the secret fork is what it was.
func (f *fortress) unharmed() error {
	c, err := connect(f.process.address)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(as(context.Background(), f.owner), patience)
	defer cancel()
	stream, err := c.node.Scan(ctx, &tinepb.ScanRequest{Source: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: secretFork}}}},
		grpc.MaxCallRecvMsgSize(64<<20))
	if err != nil {
		return err
	}
	rows := 0
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("after all attacks: %w", err)
		}
		for _, row := range m.Rows {
			if string(row.Value) != secret {
				return fmt.Errorf("after all attacks %s is %q", row.Key, row.Value)
			}
			rows++
		}
		if m.End == tinepb.ScanResponse_RANGE {
			break
		}
	}
	if rows != 2000 {
		return fmt.Errorf("after all attacks there are %d secret rows", rows)
	}
	return nil
}
