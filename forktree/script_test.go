package forktree

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

var update = flag.Bool("update", false, "write the scripts' outputs anew")

// A script in testdata is blocks of lines with a blank line between. A block
// begins with a comment, which is its name, and a tree with one empty fork,
// main. Nodes are n1, n2, …, in the order in which their memtables were born;
// tables t1, … and files f1, … in the order in which they are written.
//
//	write FORK ROWS        put rows into its memtable
//	freeze FORK            make a node of it
//	fork PARENT CHILD      PARENT may be a snapshot: @name
//	snapshot FORK NAME     freezes, as fork does
//	drop FORK              or @name
//	reset FORK SOURCE
//	rename FORK NAME       or @name
//	flush nA nB …          write their tables into one file and install them; a
//	                       claim that was taken before is used and given back
//	merge nA..nB ROWS      nA is the newest of the range; 0 rows make no table
//	join nA..nB            the only run with tables, as it is
//	consolidate nA..nB
//	found nA tB:ROWS …     the next flush, merge or install of nA marks them; ROWS
//	                       is like 0,2-4 or all
//	claim JOB nA..nB       take a claim and keep it
//	replace JOB TABLE …    prepare a replacement. A TABLE is "keep:tA", or says
//	                       where the rows of a new one are from: tA:ROWS+tB:ROWS
//	stage JOB MAX
//	install JOB            and give the claim back
//	abandon JOB            likewise
//	sweep JOB MAX
//	wanted JOB             does anybody but jobs hold the node?
//	unclaim JOB
//	pin NAME FORK          pin the runs of its path
//	unpin NAME
//	release [MAX]          take nodes apart
//	draw                   the tree
//	txn                    what the manifest and the disk are owed
//	low                    what must stay in the log
//	sparse BYTES TABLES    what is alive in files that are less than half alive
//	relocate tA …          move tables to a new file
//	pinfile fA, unpinfile fA
//	letbe tA
//
// Lines that begin with ">" are what the commands said; every command is
// followed by Verify.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var out []string
		for _, block := range strings.Split(strings.TrimSpace(string(content)), "\n\n") {
			lines := strings.Split(block, "\n")
			name, ok := strings.CutPrefix(lines[0], "# ")
			require.True(t, ok, "%s: a block must begin with its name: %s", file, lines[0])
			t.Run(name, func(t *testing.T) {
				got := runScript(t, lines)
				out = append(out, got)
				if !*update {
					require.Equal(t, block, got)
				}
			})
		}
		if *update && !t.Failed() {
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644))
		}
	}
}

// count is a memtable of which only the number of rows matters.
type count int

func (c count) Bytes() int64 { return int64(c) * 10 }
func (c count) Len() int     { return int(c) }

// script is the state of one block while it runs.
type script struct {
	t    *testing.T
	tree *Tree
	out  bytes.Buffer

	lsn                     ids.LSN
	node, fork, table, file uint64
	claims                  map[string]*Claim
	pins                    map[string][]*Run
	found                   map[*Node][]TableMarks
	replacements            map[string]*Replacement
}

func runScript(t *testing.T, lines []string) string {
	s := &script{
		t: t, tree: New(), lsn: 1, claims: map[string]*Claim{}, pins: map[string][]*Run{},
		found: map[*Node][]TableMarks{}, replacements: map[string]*Replacement{},
	}
	s.tree.AddFork(&Fork{ID: 1, Name: "main", MemtableID: s.nextNode()})
	s.fork = 1
	for _, line := range lines {
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&s.out, line)
		if words := strings.Fields(line); words[0] != "#" {
			s.lsn++
			s.run(words[0], words[1:])
			s.verify()
		}
	}
	return strings.TrimSpace(s.out.String())
}

func (s *script) nextNode() ids.NodeID { s.node++; return ids.NodeID(s.node) }

func (s *script) say(format string, args ...any) {
	for _, line := range strings.Split(strings.TrimRight(fmt.Sprintf(format, args...), "\n"), "\n") {
		fmt.Fprintf(&s.out, "> %s\n", line)
	}
}

func (s *script) verify() {
	var claims []*Claim
	for _, c := range s.claims {
		claims = append(claims, c)
	}
	pins := map[*Run]int{}
	for _, runs := range s.pins {
		for _, r := range runs {
			pins[r]++
		}
	}
	require.NoError(s.t, s.tree.Verify(claims, pins))
}

func (s *script) run(command string, args []string) {
	if len(args) > 0 && s.runOnFork(command, args) {
		return
	}
	switch command {
	case "flush":
		s.flush(args)
	case "merge", "join", "consolidate":
		s.swap(command, args)
	case "claim":
		if c := s.tree.Claim(s.rangeOf(args[1])); c == nil {
			s.say("refused")
		} else {
			s.claims[args[0]] = c
		}
	case "found":
		n := s.nodeOf(args[0])
		for _, word := range args[1:] {
			tb, dead := s.rowsOf(word)
			s.found[n] = append(s.found[n], TableMarks{Table: tb, Vector: dead.vector(tb)})
		}
	case "replace", "stage", "install", "abandon", "sweep":
		s.replacement(command, args)
	case "wanted":
		s.say("%v", s.claims[args[0]].Wanted())
	case "unclaim":
		s.tree.Unclaim(s.claims[args[0]])
		delete(s.claims, args[0])
	case "unpin":
		for _, r := range s.pins[args[0]] {
			s.tree.Unpin(r)
		}
		delete(s.pins, args[0])
	case "release":
		max := 1000
		if len(args) > 0 {
			max = s.number(args[0])
		}
		if s.tree.Release(max) {
			s.say("more")
		}
	case "draw":
		var picture bytes.Buffer
		require.NoError(s.t, s.tree.Draw(&picture))
		s.say("%s", picture.String())
	case "txn":
		s.transaction()
	case "low":
		if low := s.tree.LowLSN(s.lsn+1, nil); low > s.lsn {
			s.say("nothing")
		} else {
			s.say("%d", low)
		}
	case "sparse":
		var some []string
		for _, tb := range s.tree.Sparse(false, uint64(s.number(args[0])), s.number(args[1])) {
			some = append(some, fmt.Sprintf("t%d in f%d", tb.Meta.ID, tb.Place.Meta().File))
		}
		s.say("%s", cmp.Or(strings.Join(some, ", "), "nothing"))
	case "relocate":
		s.relocate(args)
	case "pinfile":
		s.tree.PinFile(ids.FileNum(s.number(args[0][1:])))
	case "unpinfile":
		s.tree.UnpinFile(ids.FileNum(s.number(args[0][1:])))
	case "letbe":
		s.tableOf(args[0]).LetBe()
	default:
		require.Fail(s.t, "unknown command", command)
	}
}

func (s *script) tableOf(word string) *Table {
	tb := s.tree.tables[ids.TableID(s.number(word[1:]))]
	require.NotNil(s.t, tb, "there is no table %s", word)
	return tb
}

// relocate moves tables to a new file, neighbours beside each other.
func (s *script) relocate(names []string) {
	s.file++
	num, offset := ids.FileNum(s.file), uint64(0)
	s.tree.PinFile(num)
	for _, name := range names {
		tb := s.tableOf(name)
		to := *tb.Place.Meta()
		to.File, to.Offset = num, offset
		if !s.tree.Relocate(tb, to) {
			s.say("nobody needs %s", name)
		}
		offset += to.Length
	}
	s.tree.UnpinFile(num)
}

// runOnFork runs the commands whose first argument is a fork or a snapshot.
func (s *script) runOnFork(command string, args []string) bool {
	snapshot, isSnapshot := strings.CutPrefix(args[0], "@")
	n, f := s.tree.SnapshotByName(snapshot), s.tree.ForkByName(args[0])
	switch command {
	case "write":
		if f.Mem == nil {
			f.Mem, f.Low = count(0), s.lsn
		}
		f.Mem = f.Mem.(count) + count(s.number(args[1]))
	case "freeze":
		s.tree.Freeze(f, s.lsn, s.nextNode())
	case "fork":
		top := s.source(args[0])
		s.fork++
		s.tree.AddFork(&Fork{ID: ids.ForkID(s.fork), Name: args[1], Top: top, MemtableID: s.nextNode()})
	case "snapshot":
		top := s.source(args[0])
		s.fork++
		s.tree.AddSnapshot(&Snapshot{ID: ids.SnapshotID(s.fork), Name: args[1], Fork: f.ID, Node: top})
	case "drop":
		if isSnapshot {
			s.tree.DropSnapshot(n)
		} else {
			s.tree.DropFork(f)
		}
	case "reset":
		s.tree.ResetFork(f, s.source(args[1]), s.nextNode())
	case "rename":
		if isSnapshot {
			s.tree.RenameSnapshot(n, args[1])
		} else {
			s.tree.RenameFork(f, args[1])
		}
	case "pin":
		for n := range Path(s.tree.ForkByName(args[1]).Top) {
			if n.Run != nil {
				s.tree.Pin(n.Run)
				s.pins[args[0]] = append(s.pins[args[0]], n.Run)
			}
		}
	default:
		return false
	}
	return true
}

// source gives the node of a fork or a snapshot, freezing what a fork holds.
func (s *script) source(name string) *Node {
	if n, ok := strings.CutPrefix(name, "@"); ok {
		return s.tree.SnapshotByName(n).Node
	}
	f := s.tree.ForkByName(name)
	if f.Mem != nil {
		s.tree.Freeze(f, s.lsn, s.nextNode())
	}
	return f.Top
}

func (s *script) number(word string) int {
	n, err := strconv.Atoi(word)
	require.NoError(s.t, err)
	return n
}

func (s *script) nodeOf(word string) *Node {
	id := s.number(strings.TrimPrefix(word, "n"))
	n := s.tree.nodes[ids.NodeID(id)]
	require.NotNil(s.t, n, "there is no node %s", word)
	return n
}

func (s *script) rangeOf(word string) []*Node {
	newest, oldest, two := strings.Cut(word, "..")
	rng := []*Node{s.nodeOf(newest)}
	for two && rng[len(rng)-1] != s.nodeOf(oldest) {
		rng = append(rng, rng[len(rng)-1].Older)
		require.NotNil(s.t, rng[len(rng)-1], "%s is no path", word)
	}
	return rng
}

// meta describes a table of so many rows, at an offset of the newest file.
func (s *script) meta(rows int, offset uint64) []sstable.Meta {
	if rows == 0 {
		return nil
	}
	s.table++
	return []sstable.Meta{{
		ID: ids.TableID(s.table), File: ids.FileNum(s.file), Offset: offset, Length: uint64(rows) * 10,
		Rows: uint64(rows), Smallest: []byte("a"), Largest: []byte("z"),
	}}
}

func (s *script) flush(nodes []string) {
	s.file++
	var offset uint64
	for _, word := range nodes {
		n := s.nodeOf(word)
		c := s.begun(n)
		if c == nil {
			s.say("%s: refused", word)
			continue
		}
		metas := s.meta(n.Mem.Len(), offset)
		offset += uint64(n.Mem.Len()) * 10
		s.tree.InstallTables(c, s.tree.NewRun(metas), s.found[n])
		s.tree.Unclaim(c)
		delete(s.found, n)
	}
}

// begun gives the claim of the job that flushes n, a new one if there is none.
func (s *script) begun(n *Node) *Claim {
	for job, c := range s.claims {
		if c.Swap == n {
			delete(s.claims, job)
			return c
		}
	}
	return s.tree.Claim([]*Node{n})
}

// rowsOf reads "t1:0,2-4".
func (s *script) rowsOf(word string) (tb *Table, dead set) {
	name, list, ok := strings.Cut(word, ":")
	require.True(s.t, ok, word)
	tb = s.tree.tables[ids.TableID(s.number(strings.TrimPrefix(name, "t")))]
	require.NotNil(s.t, tb, "there is no table %s", name)
	if list == "all" {
		list = fmt.Sprintf("0-%d", tb.Meta.Rows-1)
	}
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		for row := s.number(from); row <= s.number(to); row++ {
			dead.add(row)
		}
	}
	return tb, dead
}

func (s *script) replacement(command string, args []string) {
	c, r := s.claims[args[0]], s.replacements[args[0]]
	switch command {
	case "replace":
		s.replacements[args[0]] = s.prepare(c, args[1:])
	case "stage":
		s.tree.Stage(r, s.number(args[1]))
		s.say("%d to do", r.Todo())
	case "sweep":
		if s.tree.Sweep(r, s.number(args[1])) {
			s.say("more")
		}
	case "install":
		s.tree.Install(r, s.found[c.Swap])
	case "abandon":
		s.tree.Abandon(r)
	}
	if command == "install" || command == "abandon" {
		delete(s.found, c.Swap)
		s.tree.Unclaim(c)
		delete(s.claims, args[0])
	}
}

// prepare makes the tables of a replacement. They share the letters evenly.
func (s *script) prepare(c *Claim, words []string) *Replacement {
	s.file++
	remap, sources := sstable.NewRemapBuilder(), map[*Table]*sstable.RemapSource{}
	var consumed, tables []*Table
	for _, n := range c.Range {
		for _, tb := range n.Run.Tables {
			if !slices.Contains(words, fmt.Sprintf("keep:t%d", tb.Meta.ID)) {
				consumed = append(consumed, tb)
				sources[tb] = remap.From(tb.Meta.ID, tb.Meta.Rows)
			}
		}
	}
	var offset uint64
	for i, word := range words {
		if kept, ok := strings.CutPrefix(word, "keep:"); ok {
			tb, _ := s.rowsOf(kept + ":all")
			tables = append(tables, tb)
			continue
		}
		s.table++
		remap.To(ids.TableID(s.table))
		m := sstable.Meta{ID: ids.TableID(s.table), File: ids.FileNum(s.file), Offset: offset}
		m.Smallest, m.Largest = []byte{byte('a' + 26*i/len(words))}, []byte{byte('a' + 26*(i+1)/len(words) - 1)}
		for _, part := range strings.Split(word, "+") {
			tb, rows := s.rowsOf(part)
			for row := range int(tb.Meta.Rows) {
				if rows.has(row) {
					sources[tb].Keep(uint64(row))
					m.Rows++
				}
			}
		}
		m.Length = m.Rows * 10
		offset += m.Length
		tables = append(tables, s.tree.NewTables([]sstable.Meta{m})...)
	}
	return s.tree.Replace(c, s.tree.RunOf(tables), consumed, remap.Finish())
}

func (s *script) swap(command string, args []string) {
	c := s.tree.Claim(s.rangeOf(args[0]))
	if c == nil {
		s.say("refused")
		return
	}
	switch command {
	case "merge":
		s.file++
		s.tree.installMerge(c, s.tree.NewRun(s.meta(s.number(args[1]), 0)))
	case "join":
		i := slices.IndexFunc(c.Range, func(n *Node) bool { return len(n.Run.Tables) > 0 })
		s.tree.installMerge(c, c.Range[max(i, 0)].Run)
	case "consolidate":
		all := count(0)
		for _, n := range c.Range {
			all += n.Mem.(count)
		}
		s.tree.InstallMemory(c, all)
	}
	s.tree.Unclaim(c)
}

// transaction shows what the manifest and the disk are owed, one object a line.
func (s *script) transaction() {
	tx := s.tree.TakeTransaction()
	files, _ := s.tree.TakeObsolete()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, f := range tx.PutForks {
		add("put fork %s: top n%d, memtable n%d", f.Name, f.Top, f.Memtable)
	}
	for _, id := range tx.DropForks {
		add("drop fork %d", id)
	}
	for _, n := range tx.PutSnapshots {
		add("put snapshot %s: n%d", n.Name, n.Node)
	}
	for _, id := range tx.DropSnapshots {
		add("drop snapshot %d", id)
	}
	for _, n := range tx.PutNodes {
		add("put node n%d over n%d: tables %d, frozen at %d", n.ID, n.Older, n.Tables, n.Frozen)
	}
	for _, id := range tx.DropNodes {
		add("drop node n%d", id)
	}
	for _, m := range tx.PutTables {
		add("put table t%d in f%d", m.ID, m.File)
	}
	for _, id := range tx.DropTables {
		add("drop table t%d", id)
	}
	for _, m := range tx.AddMarks {
		add("mark %d rows of t%d by n%d", m.Vector.Dead(), m.Table, m.Node)
	}
	for _, key := range tx.DropMarks {
		add("drop marks of n%d in t%d", key.Node, key.Table)
	}
	for _, num := range files {
		add("unlink f%d", num)
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		lines = []string{"nothing"}
	}
	s.say("%s", strings.Join(lines, "\n"))
}
