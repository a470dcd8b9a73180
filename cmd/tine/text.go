package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"unicode/utf8"

	"golang.org/x/term"
)

// printf writes to the output.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// printJSON writes v as one line of JSON. Characters are not escaped for HTML:
// nobody reads this in a browser.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printRow writes one key, and its value unless it is nil, as text or JSON.
func (a *app) printRow(key, value []byte) error {
	if a.json {
		row := map[string]string{}
		a.addBytes(row, "key", key)
		if value != nil {
			a.addBytes(row, "value", value)
		}
		return a.printJSON(row)
	}
	line := a.appendText(nil, key)
	if value != nil {
		line = append(line, '\t')
		line = a.appendText(line, value)
	}
	_, err := a.out.Write(append(line, '\n'))
	return err
}

// addBytes puts bytes into a JSON object: as name if they are text, as name_hex
// if they are not or if --hex is set.
func (a *app) addBytes(row map[string]string, name string, b []byte) {
	if !a.hex && utf8.Valid(b) {
		row[name] = string(b)
	} else {
		row[name+"_hex"] = hex.EncodeToString(b)
	}
}

// appendText appends bytes so that a line of them can be read back: printable
// characters as they are, all others, and the backslash, as Go escapes.
func (a *app) appendText(dst, b []byte) []byte {
	if a.hex {
		return hex.AppendEncode(dst, b)
	}
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = fmt.Appendf(dst, `\x%02x`, b[0])
		case r == '\\':
			dst = append(dst, `\\`...)
		case strconv.IsPrint(r):
			dst = append(dst, b[:size]...)
		default:
			q := strconv.QuoteRune(r)
			dst = append(dst, q[1:len(q)-1]...)
		}
		b = b[size:]
	}
	return dst
}

// bytesOf reads a key or value from an argument.
func (a *app) bytesOf(what, arg string) ([]byte, error) {
	if !a.hex {
		return []byte(arg), nil
	}
	b, err := hex.DecodeString(arg)
	if err != nil {
		return nil, usagef("the %s %s is not hexadecimal: %v", what, quote(arg), err)
	}
	return b, nil
}

// keyOf reads a key from an argument. An empty one is refused here, as the
// store would.
func (a *app) keyOf(arg string) ([]byte, error) {
	key, err := a.bytesOf("key", arg)
	if err == nil && len(key) == 0 {
		err = usagef("the key is empty")
	}
	return key, err
}

// isTerminal tells whether a stream is one that a person watches.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func quote(s string) string { return strconv.Quote(s) }
