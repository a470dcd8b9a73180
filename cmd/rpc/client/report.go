package client

import (
	"context"
	"errors"
	"io"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

var checkLevels = map[engine.CheckLevel]tinepb.CheckRequest_Level{
	engine.CheckQuick: tinepb.CheckRequest_QUICK, engine.CheckFull: tinepb.CheckRequest_FULL, engine.CheckDeep: tinepb.CheckRequest_DEEP,
}

// Check looks for damage in the running store. progress, if not nil, is told how much
// is done of how much; 0 if that is not known yet.
func (c *Client) Check(ctx context.Context, level engine.CheckLevel, progress func(done, of uint64)) (report *engine.CheckReport, err error) {
	err = c.do(ctx, repeatable, "check", func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.node.Check(ctx, &tinepb.CheckRequest{Level: checkLevels[level]})
		if err != nil {
			return err
		}
		for {
			answer, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return &wire.Error{Kind: tinepb.Error_INTERNAL, Text: "the node ended a check without a report"}
			}
			if err != nil {
				return err
			}
			if p := answer.GetProgress(); p != nil && progress != nil {
				progress(p.GetDone(), p.GetOf())
			}
			if r := answer.GetReport(); r != nil {
				report = reportOf(r)
				return nil
			}
		}
	})
	return report, err
}

func reportOf(m *tinepb.CheckReport) *engine.CheckReport {
	r := &engine.CheckReport{
		Missing: m.GetMissing(), Leaked: m.GetLeaked(), Undecided: m.GetUndecided(), Stale: m.GetStale(), Foreign: m.GetForeign(),
		Forks: int(m.GetForks()), Snapshots: int(m.GetSnapshots()), Nodes: int(m.GetNodes()), Tables: int(m.GetTables()), Files: int(m.GetFiles()),
		Rows: m.GetRows(), TableBytes: m.GetTableBytes(), LogRecords: m.GetLogRecords(), LastLSN: m.GetLastLsn(), Lookups: m.GetLookups(),
		TornLog: m.GetTornLog() != nil, TornManifest: m.GetTornManifest() != nil,
		TornLogAt: placeOf(m.GetTornLog()), TornManifestAt: placeOf(m.GetTornManifest()),
	}
	for _, p := range m.GetProblems() {
		q := engine.Problem{
			File: p.GetFile(), Offset: p.GetOffset(), Length: p.GetLength(), Text: p.GetText(), Forks: p.GetForks(), Unreadable: p.GetUnreadable(),
		}
		if p.GetKeys() != nil {
			keys := rangeOf(p.GetKeys())
			q.Keys = &keys
		}
		r.Problems = append(r.Problems, q)
	}
	for _, d := range m.GetDamage() {
		damage := engine.Damage{Name: d.GetName()}
		for _, k := range d.GetKeys() {
			damage.Keys = append(damage.Keys, rangeOf(k))
		}
		r.Damage = append(r.Damage, damage)
	}
	for _, h := range m.GetHashes() {
		r.Hashes = append(r.Hashes, engine.ContentHash{Name: h.GetName(), Hash: h.GetHash(), Rows: h.GetRows()})
	}
	return r
}

func placeOf(p *tinepb.Place) engine.Place {
	return engine.Place{File: p.GetFile(), Offset: p.GetOffset()}
}

func rangeOf(k *tinepb.KeyRange) engine.Range {
	return engine.Range{Lower: open(k.GetLower()), Upper: open(k.GetUpper())}
}
