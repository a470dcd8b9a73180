package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// minMessage is the smallest size of a scan's messages that a caller can ask for.
const minMessage = 4 << 10

// rowBytes is what a row takes beside its bytes, about.
const rowBytes = 48

// looks is after how many rows a scan looks whether it is to end.
const looks = 1024

// Scan sends the rows of a range, as they are when it begins.
func (s *Server) Scan(m *tinepb.ScanRequest, stream tinepb.Tine_ScanServer) error {
	c := callOf(stream.Context())
	from, err := c.source(m.GetSource())
	if err != nil {
		return err
	}
	r := engine.Range{Lower: open(m.GetLower()), Upper: open(m.GetUpper())}
	if r, err = goOn(r, m, from.ID()); err != nil {
		return err
	}
	if !s.shares.take(c.share, someScans, 1, 0) {
		return c.full(overloadTime, someScans, 1)
	}
	defer s.shares.give(c.share, someScans, 1)
	it, err := from.NewIter(r)
	if err != nil {
		return err
	}
	defer it.Close()
	s.outliveKill()
	p := &pages{c: c, m: m, stream: stream, id: from.ID(), most: s.limits.ScanMessageBytes}
	if n := int(m.GetMessageBytes()); n != 0 {
		p.most = min(p.most, max(n, minMessage))
	}
	if err := c.charge(int64(2 * p.most)); err != nil {
		return err
	}
	return p.send(it)
}

// pages makes messages of the rows of one scan.
type pages struct {
	c      *call
	m      *tinepb.ScanRequest
	stream tinepb.Tine_ScanServer
	id     uint64
	most   int // bytes of a message, about
	sent   bool
	large  int64 // charged for a row that is larger than a message, until it is sent

	arena []byte // keys and values of the message being made
	ends  []int  // of each key and each value in it
	rows  []tinepb.Row
	refs  []*tinepb.Row

	allRows, allBytes uint64
}

// send walks the rows until something ends the scan.
func (p *pages) send(it *engine.Iterator) error {
	move, ok := it.Next, it.First
	if p.m.GetReverse() {
		move, ok = it.Prev, it.Last
	}
	deadline := p.c.start.Add(p.c.s.limits.ScanTime)
	began := time.Now()
	for there := ok(); there; there = move() {
		value := it.Value()
		if p.m.GetKeysOnly() {
			value = nil
		}
		size := len(it.Key()) + len(value)
		if size > p.c.s.limits.MaxSendBytes/2 && len(p.ends) > 0 {
			if err := p.flush(tinepb.ScanResponse_END_UNSPECIFIED, &began); err != nil { // a large row goes by itself
				return err
			}
		}
		if size > p.most {
			if err := p.c.charge(int64(size)); err != nil {
				return err
			}
			p.large += int64(size)
		}
		p.arena = append(p.arena, it.Key()...)
		p.ends = append(p.ends, len(p.arena))
		p.arena = append(p.arena, value...)
		p.ends = append(p.ends, len(p.arena))
		p.allRows++
		p.allBytes += uint64(size)
		if n := p.m.GetLimitRows(); n != 0 && p.allRows >= n {
			return p.flush(tinepb.ScanResponse_LIMIT, &began)
		}
		if n := p.m.GetLimitBytes(); n != 0 && p.allBytes >= n {
			return p.flush(tinepb.ScanResponse_LIMIT, &began)
		}
		full := len(p.arena)+len(p.ends)/2*rowBytes >= p.most
		if !full && p.allRows%looks != 0 {
			continue
		}
		switch {
		case p.c.ctx.Err() != nil:
			return p.c.ended()
		case p.c.s.stopping():
			return p.flush(tinepb.ScanResponse_DRAINING, &began)
		case time.Now().After(deadline):
			return p.flush(tinepb.ScanResponse_DEADLINE, &began)
		case full:
			if err := p.flush(tinepb.ScanResponse_END_UNSPECIFIED, &began); err != nil {
				return err
			}
			if err := p.c.pace(deadline); err != nil {
				return err
			}
			began = time.Now()
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	return p.flush(tinepb.ScanResponse_RANGE, &began)
}

// flush sends the message. The time since began was the engine's.
func (p *pages) flush(end tinepb.ScanResponse_End, began *time.Time) error {
	p.c.engine += time.Since(*began)
	n := len(p.ends) / 2
	if cap(p.rows) < n {
		p.rows, p.refs = make([]tinepb.Row, n), make([]*tinepb.Row, n)
		for i := range p.rows {
			p.refs[i] = &p.rows[i]
		}
	}
	at := 0
	for i := range n {
		row := &p.rows[:n][i]
		row.Key, at = p.arena[at:p.ends[2*i]], p.ends[2*i]
		row.Value, at = p.arena[at:p.ends[2*i+1]], p.ends[2*i+1]
	}
	answer := &tinepb.ScanResponse{Rows: p.refs[:n], End: end, Resume: p.m.GetResume()}
	if n > 0 {
		answer.Resume = resumeToken(p.m.GetReverse(), p.id, p.rows[:n][n-1].GetKey())
	}
	if !p.sent {
		answer.Id, p.sent = p.id, true
	}
	err := p.stream.Send(answer)
	p.c.rows += int64(n)
	p.arena, p.ends = p.arena[:0], p.ends[:0]
	if p.large != 0 {
		p.arena = nil // do not keep what one large row took
		p.c.refund(p.large)
		p.large = 0
	}
	*began = time.Now()
	return err
}

// A resume token is a version, the direction, the fork's or snapshot's id and the last
// key. It says where to go on, and gives no right to anything.
const (
	tokenVersion = 1
	tokenHead    = 1 + 1 + 8
)

func resumeToken(reverse bool, id uint64, last []byte) []byte {
	token := make([]byte, 2, tokenHead+len(last))
	token[0] = tokenVersion
	if reverse {
		token[1] = 1
	}
	return append(binary.BigEndian.AppendUint64(token, id), last...)
}

// goOn is what is left of a range behind the row that a token names.
func goOn(r engine.Range, m *tinepb.ScanRequest, id uint64) (engine.Range, error) {
	token := m.GetResume()
	if len(token) == 0 {
		return r, nil
	}
	if len(token) <= tokenHead || token[0] != tokenVersion {
		return r, fmt.Errorf("%w: the resume token is none of this node's", wire.ErrBadRequest)
	}
	if (token[1] == 1) != m.GetReverse() || binary.BigEndian.Uint64(token[2:]) != id {
		return r, fmt.Errorf("%w: the resume token is another scan's", wire.ErrBadRequest)
	}
	last := token[tokenHead:]
	if r.Lower != nil && bytes.Compare(last, r.Lower) < 0 || r.Upper != nil && bytes.Compare(last, r.Upper) >= 0 {
		return r, fmt.Errorf("%w: the resume token is outside the range", wire.ErrBadRequest)
	}
	if m.GetReverse() {
		r.Upper = last
	} else {
		r.Lower = append(bytes.Clone(last), 0)
	}
	return r, nil
}
