package server

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// listStep is how many forks are described before the call looks whether it is to end.
const listStep = 256

// infoBytes is what the description of a fork or snapshot takes in memory, about, if the
// names are long.
const infoBytes = 384 + 2*engine.MaxNameBytes

// forkInfo describes a fork to the caller.
func (c *call) forkInfo(f engine.ForkInfo) *tinepb.ForkInfo {
	return &tinepb.ForkInfo{
		Id: f.ID, Name: f.Name, ParentId: f.ParentID, Parent: c.shown(f.Parent), CreatedUnixNano: f.Created.UnixNano(),
		Depth: int64(f.Depth), MemtableBytes: f.MemtableBytes, Tables: tableSizes(f.TableSizes),
	}
}

// shown is a fork's name, or nothing if the caller may not read that fork.
func (c *call) shown(name string) string {
	if isSystem(name) || !c.principal.May(VerbRead, name) {
		return ""
	}
	return name
}

func tableSizes(t engine.TableSizes) *tinepb.TableSizes {
	return &tinepb.TableSizes{ReferencedBytes: t.ReferencedBytes, ExclusiveBytes: t.ExclusiveBytes, FreedBytes: t.FreedBytes}
}

// GetFork describes a fork.
func (s *Server) GetFork(ctx context.Context, m *tinepb.GetForkRequest) (*tinepb.GetForkResponse, error) {
	c := callOf(ctx)
	f, err := c.fork(m.GetFork(), VerbRead)
	if err != nil {
		return nil, err
	}
	info, err := f.Info()
	if err != nil {
		return nil, err
	}
	return &tinepb.GetForkResponse{Fork: c.forkInfo(info)}, nil
}

// ListForks describes a page of the forks that the caller may read.
func (s *Server) ListForks(ctx context.Context, m *tinepb.ListForksRequest) (*tinepb.ListForksResponse, error) {
	c := callOf(ctx)
	answer := new(tinepb.ListForksResponse)
	var err error
	answer.Next, err = s.forks().page(c, m.GetPrefix(), m.GetAfter(), s.pageRows(m.GetLimit()), func(f *engine.ForkInfo) error {
		answer.Forks = append(answer.Forks, c.forkInfo(*f))
		return c.charge(infoBytes)
	})
	return answer, err
}

// pageRows is how many entries a page gets of whom asks for so many: not more than fit
// into a message.
func (s *Server) pageRows(asked uint32) int {
	most := min(s.limits.PageRows, max(s.limits.MaxSendBytes/infoBytes, 1))
	if asked == 0 || int64(asked) > int64(most) {
		return most
	}
	return int(asked)
}

// Tree draws the tree of nodes. It shows all names, so the caller must be one who may
// read them all.
func (s *Server) Tree(_ *tinepb.TreeRequest, stream tinepb.Tine_TreeServer) error {
	c := callOf(stream.Context())
	if !c.principal.MayAll(VerbRead, "") {
		return fmt.Errorf("%w: %s may not read all forks", wire.ErrDenied, c.principal.Name())
	}
	text := &bounded{most: s.limits.MaxSendBytes}
	if err := c.charge(int64(text.most)); err != nil {
		return err
	}
	if err := s.store.DrawTree(text); err != nil { // into memory, since writers wait
		return err
	}
	for text.Len() > 0 {
		part := bytes.ToValidUTF8(text.Next(s.limits.ScanMessageBytes), nil)
		if err := stream.Send(&tinepb.TreeResponse{Text: string(part)}); err != nil {
			return err
		}
	}
	return nil
}

// bounded is a buffer that does not grow over a bound.
type bounded struct {
	bytes.Buffer
	most int
}

// Write fails when there is too much.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, refused(LimitAnswer, fmt.Errorf("%w: the tree takes more than %d bytes", wire.ErrNodeLimit, b.most))
	}
	return b.Buffer.Write(p)
}
