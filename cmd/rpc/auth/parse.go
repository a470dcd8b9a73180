package auth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a file: a mistake must not take the memory of a node.
const (
	maxFileBytes = 16 << 20
	maxLineBytes = 64 << 10
)

// Parse reads the lines of a file. A blank line, and what follows a # at the beginning
// of a line or after a space, is ignored. Everything that is not understood is an
// error with its line: a scope that is silently left out would be one thing, a bound
// that is silently left out another.
func Parse(text string) ([]Entry, error) {
	var entries []Entry
	lines := map[string]int{}   // by name
	holders := map[string]int{} // by what they are known by
	number := 0
	for line := range strings.Lines(text) {
		number++
		if len(line) > maxLineBytes {
			return nil, fmt.Errorf("line %d: longer than %d bytes", number, maxLineBytes)
		}
		e, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if e == nil {
			continue
		}
		if before := lines[e.Name]; before != 0 {
			return nil, fmt.Errorf("line %d: the name %q stands in line %d already", number, e.Name, before)
		}
		known := e.Certificate
		if e.Hash != nil {
			known = string(e.Hash[:])
		}
		if before := holders[known]; before != 0 {
			return nil, fmt.Errorf("line %d: %q is known by the same token or certificate as line %d", number, e.Name, before)
		}
		lines[e.Name], holders[known] = number, number
		entries = append(entries, *e)
	}
	return entries, nil
}

// parseLine gives nil for a line that says nothing.
func parseLine(line string) (*Entry, error) {
	words, err := split(line)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	e := &Entry{Name: words[0]}
	if err := checkName(e.Name); err != nil {
		return nil, err
	}
	if len(words) < 2 {
		return nil, fmt.Errorf("behind %q stands neither sha256:… nor cert:…", e.Name)
	}
	if err := e.setHolder(words[1]); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, w := range words[2:] {
		key, _, _ := strings.Cut(w, "=")
		if seen[key] {
			return nil, fmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		if err := e.set(w); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// split divides a line at spaces, but for those between double quotes, and leaves a
// comment off.
func split(line string) (words []string, err error) {
	var word strings.Builder
	inWord, quoted := false, false
	for i, c := range line {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case quoted:
			word.WriteRune(c)
		case c == '#' && (i == 0 || !inWord):
			return words, nil
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quoted {
		return nil, errors.New("a quotation mark is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

func (e *Entry) setHolder(word string) error {
	if name, ok := strings.CutPrefix(word, "cert:"); ok {
		if name == "" || strings.ContainsAny(name, "\"\\\n") {
			return fmt.Errorf("%q names no certificate", word)
		}
		e.Certificate = name
		return nil
	}
	digits, ok := strings.CutPrefix(word, "sha256:")
	if !ok {
		return fmt.Errorf("%q is neither sha256:… nor cert:…", word)
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(Hash{}) {
		// What stands there may be a token by mistake: it is not repeated.
		return fmt.Errorf("what follows sha256: is not %d hexadecimal digits", 2*len(Hash{}))
	}
	e.Hash = (*Hash)(b)
	return nil
}

func (e *Entry) setRate(value string) error {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n > 0 && n <= 1e9) {
		return fmt.Errorf("rate=%s is no number of calls a second", value)
	}
	e.CallsPerSecond = n
	return nil
}

func (e *Entry) setBytes(value string) error {
	n, err := ParseBytes(value)
	if err != nil || n <= 0 {
		return fmt.Errorf("bytes=%s is no number of bytes a second", value)
	}
	e.BytesPerSecond = n
	return nil
}

func (e *Entry) setExpires(value string) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			e.Expires = t
			return nil
		}
	}
	return fmt.Errorf("expires=%s is neither a day such as 2030-01-31 nor a time such as 2030-01-31T12:00:00Z", value)
}

func badField(field string) error {
	return fmt.Errorf("%q is not understood; there are read=, write=, fork=, admin, rate=, bytes= and expires=", field)
}

// ParseBytes reads a number of bytes, which may end in KiB, MiB or GiB.
func ParseBytes(s string) (int64, error) {
	digits, unit := s, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB"} {
		if d, ok := strings.CutSuffix(s, suffix); ok {
			digits, unit = d, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return 0, fmt.Errorf("%q is no number of bytes, such as 4096, 64KiB, 512MiB or 2GiB", s)
	}
	return n * unit, nil
}
