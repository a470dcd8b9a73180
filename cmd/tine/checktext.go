package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

// How much of each list a check prints as text; --json prints all.
const (
	maxCheckNames  = 8   // on one line
	maxCheckRanges = 8   // on one line
	maxCheckForks  = 20  // lines
	maxCheckLines  = 200 // problems, files, hashes
)

// checkText is a check for people: what is wrong first, the verdict last.
func (a *app) checkText(what checked, level string, r *engine.CheckReport) string {
	var b strings.Builder
	shown := r.Problems[:min(len(r.Problems), maxCheckLines)]
	for i := range shown {
		a.problemText(&b, &shown[i])
	}
	more(&b, len(r.Problems)-len(shown), "problems")
	if len(r.Damage) > 0 {
		b.WriteString("keys that cannot be trusted:\n")
	}
	for i, d := range r.Damage {
		if i == maxCheckForks {
			more(&b, len(r.Damage)-i, "forks and snapshots")
			break
		}
		fmt.Fprintf(&b, "    %s: %s\n", d.Name, a.ranges(d.Keys))
	}
	a.lines(&b, "missing file %s\n", r.Missing)
	a.lines(&b, "left over %s: nothing reads it, the next open removes it\n", r.Leaked)
	a.lines(&b, "left over %s: the next open removes it\n", r.Stale)
	a.lines(&b, "undecided %s: whether anything needs it cannot be told while the rest is damaged\n", r.Undecided)
	a.lines(&b, "not ours: %s\n", r.Foreign)
	if r.TornLog {
		fmt.Fprintf(&b, "the end of the log is torn at offset %d of %s, as a crash leaves it; the next open cuts it off\n", r.TornLogAt.Offset, r.TornLogAt.File)
	}
	if r.TornManifest {
		fmt.Fprintf(&b, "the end of the manifest is torn at offset %d of %s, as a crash leaves it; the next open cuts it off\n", r.TornManifestAt.Offset, r.TornManifestAt.File)
	}
	for i, h := range r.Hashes {
		if i == maxCheckLines {
			more(&b, len(r.Hashes)-i, "hashes")
			break
		}
		fmt.Fprintf(&b, "%016x  %s  (%s rows)\n", h.Hash, h.Name, picture.Count(h.Rows))
	}
	verdict(&b, what, level, r)
	return b.String()
}

// verdict says what was looked at, and whether it is sound.
func verdict(b *strings.Builder, what checked, level string, r *engine.CheckReport) {
	switch {
	case what == ofNode && r.OK():
		fmt.Fprintf(b, "%d forks, %d snapshots, %d tables (%s), last LSN %d\n", r.Forks, r.Snapshots, r.Tables, picture.Size(r.TableBytes), r.LastLSN)
		b.WriteString("ok (a node's check: the manifest, the log, and every block of these tables)\n")
		return
	case what == ofNode:
		b.WriteString("DAMAGED (a node's check, which ends at the first damage)\n")
		return
	}
	fmt.Fprintf(b, "%d forks, %d snapshots, %d nodes, %d tables (%s) in %d files, %s rows, last LSN %d\n",
		r.Forks, r.Snapshots, r.Nodes, r.Tables, picture.Size(r.TableBytes), r.Files, picture.Count(r.Rows), r.LastLSN)
	if r.OK() {
		fmt.Fprintf(b, "ok (%s check)\n", level)
	} else {
		fmt.Fprintf(b, "DAMAGED (%s check)\n", level)
	}
}

func (a *app) problemText(b *strings.Builder, p *engine.Problem) {
	if p.Unreadable {
		fmt.Fprintf(b, "cannot read %s", p.File)
	} else {
		fmt.Fprintf(b, "damage in %s", p.File)
	}
	if p.Offset >= 0 {
		fmt.Fprintf(b, " at offset %d", p.Offset)
	}
	if p.Length > 0 {
		fmt.Fprintf(b, ", %d bytes", p.Length)
	}
	fmt.Fprintf(b, ": %s\n", p.Text)
	if len(p.Forks) > 0 {
		fmt.Fprintf(b, "    forks hit: %s\n", a.list(p.Forks, "forks"))
	}
	if p.Keys != nil {
		fmt.Fprintf(b, "    %s\n", a.keyRange(*p.Keys))
	}
}

func more(b *strings.Builder, n int, what string) {
	if n > 0 {
		fmt.Fprintf(b, "    and %s more %s; --json lists all\n", picture.Count(n), what)
	}
}

func (a *app) lines(b *strings.Builder, format string, names []string) {
	for i, name := range names {
		if i == maxCheckLines {
			more(b, len(names)-i, "files")
			return
		}
		fmt.Fprintf(b, format, a.appendText(nil, []byte(name)))
	}
}

// list writes a few names on one line.
func (a *app) list(names []string, what string) string {
	if len(names) <= maxCheckNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %s more %s", strings.Join(names[:maxCheckNames], ", "), picture.Count(len(names)-maxCheckNames), what)
}

func (a *app) ranges(keys []engine.Range) string {
	var out []string
	for i, r := range keys {
		if i == maxCheckRanges {
			out = append(out, fmt.Sprintf("and %s more ranges", picture.Count(len(keys)-i)))
			break
		}
		out = append(out, a.keyRange(r))
	}
	return strings.Join(out, ", ")
}

// keyRange writes a range in words. A bound that ends in a zero byte is the key
// right behind another: that one is named.
func (a *app) keyRange(r engine.Range) string {
	if r.Lower == nil && r.Upper == nil {
		return "all keys"
	}
	word := func(bound []byte, behind, at string) string {
		if key, cut := bytes.CutSuffix(bound, []byte{0}); cut && len(key) > 0 {
			return fmt.Sprintf(`%s "%s"`, behind, a.appendText(nil, key))
		}
		return fmt.Sprintf(`%s "%s"`, at, a.appendText(nil, bound))
	}
	var words []string
	if r.Lower != nil {
		words = append(words, word(r.Lower, "after", "from"))
	}
	if r.Upper != nil {
		words = append(words, word(r.Upper, "through", "before"))
	}
	return "keys " + strings.Join(words, " ")
}

func (a *app) checkResult(level string, r *engine.CheckReport) checkResult {
	place := func(torn bool, at engine.Place) *checkPlace {
		if !torn {
			return nil
		}
		return &checkPlace{at.File, at.Offset}
	}
	names := func(list []string) []string { return append([]string{}, list...) }
	result := checkResult{
		OK: r.OK(), Level: level, Problems: []checkProblem{}, Damage: []checkDamage{},
		CheckNames: &CheckNames{names(r.Missing), names(r.Leaked), names(r.Undecided), names(r.Stale), names(r.Foreign)},
		CheckCounts: &CheckCounts{
			Forks: r.Forks, Snapshots: r.Snapshots, Tables: r.Tables,
			TableBytes: r.TableBytes, LastLSN: r.LastLSN, LogRecords: r.LogRecords,
		},
		CheckMoreCounts: &CheckMoreCounts{r.Files, r.Nodes, r.Rows},
		TornLog:         place(r.TornLog, r.TornLogAt), TornManifest: place(r.TornManifest, r.TornManifestAt), Lookups: r.Lookups,
	}
	for _, p := range r.Problems {
		q := checkProblem{File: p.File, Offset: p.Offset, Length: p.Length, Text: p.Text, Unreadable: p.Unreadable, Forks: slices.Clone(p.Forks)}
		if p.Keys != nil {
			q.Keys = a.rangeJSON(*p.Keys)
		}
		result.Problems = append(result.Problems, q)
	}
	for _, d := range r.Damage {
		keys := []map[string]string{}
		for _, k := range d.Keys {
			keys = append(keys, a.rangeJSON(k))
		}
		result.Damage = append(result.Damage, checkDamage{d.Name, keys})
	}
	for _, h := range r.Hashes {
		result.Hashes = append(result.Hashes, checkHash{h.Name, fmt.Sprintf("%016x", h.Hash), h.Rows})
	}
	return result
}

// rangeJSON gives the bounds that a range has: lower belongs to it, upper does
// not.
func (a *app) rangeJSON(r engine.Range) map[string]string {
	out := map[string]string{}
	if r.Lower != nil {
		a.addBytes(out, "lower", r.Lower)
	}
	if r.Upper != nil {
		a.addBytes(out, "upper", r.Upper)
	}
	return out
}
