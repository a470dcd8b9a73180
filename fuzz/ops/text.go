package ops

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tinedb/tine/fuzz/model"
)

// field is one word of the text form: what to write for an Op and how to read
// it back.
type field struct {
	format func(op *Op) string
	parse  func(op *Op, word string) error
}

var (
	forkField   = field{func(op *Op) string { return op.Fork }, func(op *Op, w string) error { op.Fork = w; return nil }}
	nameField   = field{func(op *Op) string { return op.Name }, func(op *Op, w string) error { op.Name = w; return nil }}
	namesField  = field{func(op *Op) string { return strings.Join(op.Names, ",") }, func(op *Op, w string) error { op.Names = strings.Split(w, ","); return nil }}
	prefixField = field{func(op *Op) string { return escape(op.Name) }, func(op *Op, w string) (err error) { op.Name, err = unescape(w); return }}
	keyField    = field{func(op *Op) string { return escape(op.Key) }, func(op *Op, w string) (err error) { op.Key, err = unescape(w); return }}
	sizeField   = field{func(op *Op) string { return strconv.Itoa(op.Size) }, func(op *Op, w string) (err error) { op.Size, err = strconv.Atoi(w); return }}
	iterField   = field{func(op *Op) string { return strconv.Itoa(op.Iter) }, func(op *Op, w string) (err error) { op.Iter, err = strconv.Atoi(w); return }}
	stepsField  = field{func(op *Op) string { return strconv.Itoa(op.Steps) }, func(op *Op, w string) (err error) { op.Steps, err = strconv.Atoi(w); return }}
	seedField   = field{func(op *Op) string { return strconv.FormatUint(op.Seed, 10) }, func(op *Op, w string) (err error) { op.Seed, err = strconv.ParseUint(w, 10, 64); return }}
	lowerField  = field{func(op *Op) string { return formatBound(op.Range.Lower) }, func(op *Op, w string) (err error) { op.Range.Lower, err = parseBound(w); return }}
	upperField  = field{func(op *Op) string { return formatBound(op.Range.Upper) }, func(op *Op, w string) (err error) { op.Range.Upper, err = parseBound(w); return }}
)

// fieldsOf gives the words of each kind, in order. A batch has its writes
// instead, and a word "nosync" may end any line.
var fieldsOf = map[Kind][]field{
	Put:            {forkField, keyField, sizeField},
	Delete:         {forkField, keyField},
	DeleteRange:    {forkField, lowerField, upperField},
	Batch:          {},
	Get:            {forkField, keyField},
	GetSnapshot:    {forkField, keyField},
	Scan:           {forkField, lowerField, upperField},
	ScanSnapshot:   {forkField, lowerField, upperField},
	Seek:           {forkField, keyField},
	OpenIter:       {iterField, forkField, lowerField, upperField},
	WalkIter:       {iterField, stepsField, seedField},
	CloseIter:      {iterField},
	Fork:           {forkField, nameField},
	ForkSnapshot:   {forkField, nameField},
	Snapshot:       {forkField, nameField},
	RenameSnapshot: {forkField, nameField},
	DropSnapshot:   {forkField},
	Drop:           {forkField},
	ForkMany:       {forkField, namesField},
	ForkManySnap:   {forkField, namesField},
	DropMany:       {namesField},
	DropPrefix:     {prefixField},
	DropSubtree:    {forkField},
	Rename:         {forkField, nameField},
	Reset:          {forkField, nameField},
	ResetSnapshot:  {forkField, nameField},
	BackupSome:     {namesField},
	Backup:         {}, Flush: {}, Compact: {}, Settle: {}, Sync: {}, Reopen: {}, Verify: {}, Check: {},
}

// String gives the operation's line: its number, its kind, its words.
func (op Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", op.N, op.Kind)
	for _, f := range fieldsOf[op.Kind] {
		b.WriteByte(' ')
		b.WriteString(f.format(&op))
	}
	for _, w := range op.Writes {
		switch {
		case w.Range != nil:
			fmt.Fprintf(&b, " range:%s:%s:%s", w.Fork, formatBound(w.Range.Lower), formatBound(w.Range.Upper))
		case w.Delete:
			fmt.Fprintf(&b, " delete:%s:%s", w.Fork, escape(w.Key))
		default:
			fmt.Fprintf(&b, " put:%s:%s:%d", w.Fork, escape(w.Key), w.Size)
		}
	}
	if op.NoSync {
		b.WriteString(" nosync")
	}
	return b.String()
}

// Format writes a list, one line an operation.
func Format(w io.Writer, list []Op) error {
	for _, op := range list {
		if _, err := fmt.Fprintln(w, op.String()); err != nil {
			return err
		}
	}
	return nil
}

// Parse reads a list as Format writes it. Empty lines, and lines that begin with
// #, are left out.
func Parse(r io.Reader) ([]Op, error) {
	var list []Op
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		op, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", n, line, err)
		}
		list = append(list, op)
	}
	return list, lines.Err()
}

func parseLine(line string) (Op, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return Op{}, fmt.Errorf("want a number and a kind")
	}
	number, err := strconv.Atoi(words[0])
	if err != nil {
		return Op{}, err
	}
	op := Op{N: number, Kind: Kind(words[1])}
	fields, known := fieldsOf[op.Kind]
	if !known {
		return Op{}, fmt.Errorf("unknown kind %q", op.Kind)
	}
	words = words[2:]
	if len(words) > 0 && words[len(words)-1] == "nosync" {
		op.NoSync = true
		words = words[:len(words)-1]
	}
	if op.Kind == Batch {
		op.Writes, err = parseWrites(words)
		return op, err
	}
	if len(words) != len(fields) {
		return Op{}, fmt.Errorf("%s has %d words, not %d", op.Kind, len(fields), len(words))
	}
	for i, f := range fields {
		if err := f.parse(&op, words[i]); err != nil {
			return Op{}, err
		}
	}
	return op, nil
}

func parseWrites(words []string) ([]Write, error) {
	var writes []Write
	for _, word := range words {
		w, err := parseWrite(strings.Split(word, ":"))
		if err != nil {
			return nil, fmt.Errorf("write %q: %w", word, err)
		}
		writes = append(writes, w)
	}
	return writes, nil
}

func parseWrite(parts []string) (w Write, err error) {
	if len(parts) < 3 {
		return w, fmt.Errorf("want a kind, a fork and a key or range")
	}
	w.Fork = parts[1]
	switch {
	case parts[0] == "delete" && len(parts) == 3:
		w.Delete = true
		w.Key, err = unescape(parts[2])
	case parts[0] == "put" && len(parts) == 4:
		if w.Key, err = unescape(parts[2]); err == nil {
			w.Size, err = strconv.Atoi(parts[3])
		}
	case parts[0] == "range" && len(parts) == 4:
		w.Range = &model.Range{}
		if w.Range.Lower, err = parseBound(parts[2]); err == nil {
			w.Range.Upper, err = parseBound(parts[3])
		}
	default:
		err = fmt.Errorf("it is none of put:FORK:KEY:SIZE, delete:FORK:KEY and range:FORK:LOWER:UPPER")
	}
	return w, err
}

// escape writes a key so that no byte of it means anything in a line: "=" and
// then its bytes, all but letters, digits and ._/- as %XX.
func escape(key string) string {
	b := []byte{'='}
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '/', c == '-':
			b = append(b, c)
		default:
			b = fmt.Appendf(b, "%%%02x", c)
		}
	}
	return string(b)
}

func unescape(word string) (string, error) {
	if word == "" || word[0] != '=' {
		return "", fmt.Errorf("key %q does not begin with =", word)
	}
	var b []byte
	for i := 1; i < len(word); i++ {
		if word[i] != '%' {
			b = append(b, word[i])
			continue
		}
		if i+2 >= len(word) {
			return "", fmt.Errorf("key %q ends within %%XX", word)
		}
		c, err := strconv.ParseUint(word[i+1:i+3], 16, 8)
		if err != nil {
			return "", err
		}
		b = append(b, byte(c))
		i += 2
	}
	return string(b), nil
}

func formatBound(bound *string) string {
	if bound == nil {
		return "-"
	}
	return escape(*bound)
}

func parseBound(word string) (*string, error) {
	if word == "-" {
		return nil, nil
	}
	key, err := unescape(word)
	return &key, err
}

// Bound makes a bound of a range.
func Bound(key string) *string { return &key }

// All is the range of all keys.
var All = model.Range{}
