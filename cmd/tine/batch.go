package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/engine"
)

// writes collects writes to several forks, to be committed at once.
type writes interface {
	Set(f forkspace, key, value []byte)
	Delete(f forkspace, key []byte)
	DeleteRange(f forkspace, r engine.Range)
	Len() int
	// Commit writes all of it durably, or nothing.
	Commit() error
}

// operation is one line of a batch.
type operation struct {
	Set         *string `json:"set"` // a key
	SetHex      *string `json:"set_hex"`
	Delete      *string `json:"delete"` // a key
	DeleteHex   *string `json:"delete_hex"`
	DeleteRange bool    `json:"delete_range"`

	Fork     string  `json:"fork"` // default: --fork
	Value    *string `json:"value"`
	ValueHex *string `json:"value_hex"`
	From     *string `json:"from"`
	FromHex  *string `json:"from_hex"`
	To       *string `json:"to"`
	ToHex    *string `json:"to_hex"`
}

func (a *app) batchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "batch [FILE | -]",
		Short: "Write to several forks at once: all of it or nothing",
		Long: `Carry out the writes that FILE (or standard input) lists, one JSON object a line, to one
or several forks: after a crash, and for every reader, all of them are there or none.

  {"set": KEY, "value": VALUE, "fork": NAME}
  {"delete": KEY, "fork": NAME}
  {"delete_range": true, "from": KEY, "to": KEY, "fork": NAME}

Later writes win over earlier ones. Without "fork" it is --fork. A range goes from
"from" up to "to", which is not included; without one it is open there. "set_hex",
"value_hex", "delete_hex", "from_hex" and "to_hex" stand for bytes that are not text.
The writes are durable when the command ends.`,
		Example: `  echo '{"set": "k", "value": "v", "fork": "a"}' | tine --data DIR batch`,
		Args:    takes("at most one file", 0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			in := a.in
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			operations, err := readOperations(in)
			if err != nil {
				return err
			}
			return a.withStore(writing, func(store target) error { return a.batch(store, operations) })
		},
	}
	a.forkFlag(cmd)
	return cmd
}

// readOperations reads all lines before anything is done for the first.
func readOperations(in io.Reader) (out []operation, err error) {
	dec := json.NewDecoder(in)
	for n := 1; ; n++ {
		var o operation
		var text json.RawMessage
		err := dec.Decode(&text)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err == nil {
			err = o.read(text)
		}
		if err != nil {
			return nil, usagef("write %d of the batch: %v", n, err)
		}
		out = append(out, o)
	}
}

// read takes one operation.
func (o *operation) read(text []byte) error {
	if !isText(text) {
		return errors.New(`it holds bytes that are no text, which JSON would replace: give them as "set_hex", "value_hex", "delete_hex", "from_hex" and "to_hex"`)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(o); err != nil {
		return err
	}
	return o.check()
}

// isText tells whether the strings of some JSON, which is well-formed, stand for
// themselves: the decoder puts U+FFFD in the place of bytes that are not UTF-8, and of
// half a pair of surrogates, without a word.
func isText(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	unit := func(at int) rune { // of the escape \uXXXX that begins there; 0 if none does
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		return rune(n)
	}
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			continue
		}
		u := unit(at)
		switch {
		case !utf16.IsSurrogate(u):
			at++ // what is escaped is no backslash that escapes
		case utf16.DecodeRune(u, unit(at+6)) == utf8.RuneError:
			return false
		default:
			at += 11
		}
	}
	return true
}

func (o *operation) check() error {
	ways := 0
	for _, given := range []bool{o.Set != nil, o.SetHex != nil, o.Delete != nil, o.DeleteHex != nil, o.DeleteRange} {
		if given {
			ways++
		}
	}
	set, bounds := o.Set != nil || o.SetHex != nil, o.From != nil || o.FromHex != nil || o.To != nil || o.ToHex != nil
	switch {
	case ways != 1:
		return errors.New(`it is one of "set", "delete" and "delete_range"`)
	case set != (o.Value != nil || o.ValueHex != nil):
		return errors.New(`"value" goes with "set", and with nothing else`)
	case bounds && !o.DeleteRange:
		return errors.New(`"from" and "to" go with "delete_range"`)
	}
	return nil
}

// bytesOfJSON gives bytes that are given as text or in hexadecimal, nil if not at all.
func bytesOfJSON(text, inHex *string) ([]byte, error) {
	switch {
	case text != nil && inHex != nil:
		return nil, usagef("bytes are given twice, as text and in hexadecimal")
	case text != nil:
		return []byte(*text), nil
	case inHex != nil:
		b, err := hex.DecodeString(*inHex)
		if err != nil {
			return nil, usagef("%s is not hexadecimal: %v", quote(*inHex), err)
		}
		return b, nil
	}
	return nil, nil
}

func (a *app) batch(store target, operations []operation) error {
	forks := map[string]forkspace{}
	b := store.Writes()
	for i := range operations {
		o := &operations[i]
		if o.Fork == "" {
			o.Fork = a.fork
		}
		f, known := forks[o.Fork]
		if !known {
			var err error
			if f, err = store.Fork(o.Fork); err != nil {
				return fmt.Errorf("write %d of the batch: %w", i+1, err)
			}
			forks[o.Fork] = f
		}
		if err := o.add(b, f); err != nil {
			return fmt.Errorf("write %d of the batch: %w", i+1, err)
		}
	}
	n := b.Len()
	if err := b.Commit(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]int{"writes": n, "forks": len(forks)})
	}
	return a.printf("%d writes to %d forks\n", n, len(forks))
}

func (o *operation) add(b writes, f forkspace) error {
	key, err := bytesOfJSON(o.Set, o.SetHex)
	if err != nil {
		return err
	}
	value, err := bytesOfJSON(o.Value, o.ValueHex)
	if err != nil {
		return err
	}
	gone, err := bytesOfJSON(o.Delete, o.DeleteHex)
	if err != nil {
		return err
	}
	var r engine.Range
	if r.Lower, err = bytesOfJSON(o.From, o.FromHex); err != nil {
		return err
	}
	if r.Upper, err = bytesOfJSON(o.To, o.ToHex); err != nil {
		return err
	}
	switch {
	case key != nil:
		b.Set(f, key, value)
	case gone != nil:
		b.Delete(f, gone)
	case bytes.Compare(r.Lower, r.Upper) > 0 && r.Upper != nil:
		return usagef("the lower bound is above the upper bound")
	default:
		b.DeleteRange(f, r)
	}
	return nil
}
