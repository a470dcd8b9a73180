package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// scan is the flags of one scan.
type scan struct {
	from, to, prefix string
	limit            int
	reverse          bool
	keysOnly         bool
}

func (a *app) scanCommand() *cobra.Command {
	var s scan
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Print keys and values in order",
		Long: `Print the keys in [--from, --to) that begin with --prefix, and their values, in
order of their bytes: a line each, key and value parted by a tab, bytes that are
not printable escaped. With --json a line of JSON each; "key_hex" and "value_hex"
stand for bytes that are not text.

A scan of a fork on a node (--addr) that takes longer than the node allows goes on
with what is there then, and says so on the error output: a snapshot stays one
picture however long it takes.`,
		Args: takes("nothing", 0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.limit < 0 {
				return usagef("--limit %d is below zero", s.limit)
			}
			r, err := a.scanRange(cmd, &s)
			if err != nil {
				return err
			}
			return a.withKeyspace(func(space keyspace) error { return a.scan(space, r, &s) })
		},
	}
	a.keyspaceFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.from, "from", "", "first key")
	f.StringVar(&s.to, "to", "", "end, not included")
	f.StringVar(&s.prefix, "prefix", "", "only keys that begin so")
	f.IntVar(&s.limit, "limit", 0, "at most so many rows; 0 means all")
	f.BoolVar(&s.reverse, "reverse", false, "from the last key to the first")
	f.BoolVar(&s.keysOnly, "keys-only", false, "leave out the values")
	return cmd
}

// scanRange is what --prefix, --from and --to have in common. Bounds in the wrong
// order are a mistake to be told; a prefix outside them is just an empty result.
func (a *app) scanRange(cmd *cobra.Command, s *scan) (engine.Range, error) {
	prefix, err := a.bytesOf("prefix", s.prefix)
	if err != nil {
		return engine.Range{}, err
	}
	var from, to []byte
	if cmd.Flags().Changed("from") {
		if from, err = a.bytesOf("lower bound", s.from); err != nil {
			return engine.Range{}, err
		}
	}
	if cmd.Flags().Changed("to") {
		if to, err = a.bytesOf("upper bound", s.to); err != nil {
			return engine.Range{}, err
		}
	}
	if from != nil && to != nil && bytes.Compare(from, to) > 0 {
		return engine.Range{}, usagef("--from %s is above --to %s; exchange them (and use --reverse to go backwards)", quote(s.from), quote(s.to))
	}
	r := tree.PrefixRange(prefix)
	if from != nil && bytes.Compare(from, r.Lower) > 0 {
		r.Lower = from
	}
	if to != nil && (r.Upper == nil || bytes.Compare(to, r.Upper) < 0) {
		r.Upper = to
	}
	if r.Lower != nil && r.Upper != nil && bytes.Compare(r.Lower, r.Upper) > 0 {
		r.Upper = r.Lower
	}
	return r, nil
}

func (a *app) scan(space keyspace, r engine.Range, s *scan) (err error) {
	it, err := space.Scan(r, s.keysOnly, s.limit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	out := a.out
	buffered := bufio.NewWriter(out)
	a.out = buffered
	defer func() {
		a.out = out
		err = errors.Join(err, buffered.Flush())
	}()
	move, next := it.First, it.Next
	if s.reverse {
		move, next = it.Last, it.Prev
	}
	move()
	for rows := 0; it.Valid() && (s.limit == 0 || rows < s.limit); rows++ {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		var value []byte
		if !s.keysOnly {
			if value = it.Value(); value == nil {
				value = []byte{}
			}
		}
		if err := a.printRow(it.Key(), value); err != nil {
			return err
		}
		next()
	}
	a.sayResumed(tree.Resumed(it))
	return it.Error()
}

// sayResumed warns that rows were stitched together. It goes where errors go: the output
// is rows and nothing else.
func (a *app) sayResumed(times int) {
	if times == 0 {
		return
	}
	text := fmt.Sprintf("resumed %d times: not of one moment", times)
	if !a.json {
		fmt.Fprintf(a.errOut, "tine: %s; scan a snapshot for that\n", text)
		return
	}
	line, _ := json.Marshal(resumedResult{text, times}) // a string and a number: it cannot fail
	fmt.Fprintf(a.errOut, "%s\n", line)
}

// resumedResult is that warning as --json prints it.
type resumedResult struct {
	Warning string `json:"warning"`
	Resumed int    `json:"resumed"`
}
