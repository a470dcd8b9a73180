package auth

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Entry is one line of the file: a name, how its bearer is known, and what they may
// do. Exactly one of Hash and Certificate is given.
type Entry struct {
	Name        string
	Hash        *Hash
	Certificate string // the common name in a client certificate that TLS has verified
	Scope       Scope
	Expires     time.Time // zero: never

	// Bounds of what all calls of this name together may do in a second; 0: none.
	CallsPerSecond float64
	BytesPerSecond int64 // of keys and values, both ways
}

// Line gives the entry as it stands in the file.
func (e *Entry) Line() string {
	holder := `cert:"` + e.Certificate + `"`
	if e.Hash != nil {
		holder = "sha256:" + hex.EncodeToString(e.Hash[:])
	}
	return strings.TrimSuffix(e.Name+" "+holder+" "+e.Grants(), " ")
}

// Grants gives what the bearer may do, and its bounds, as they stand in the file.
func (e *Entry) Grants() string {
	var words []string
	for i, patterns := range e.Scope.patterns {
		if len(patterns) == 0 {
			continue
		}
		names := make([]string, len(patterns))
		for j, p := range patterns {
			names[j] = string(p)
		}
		words = append(words, listed[i].String()+"="+strings.Join(names, ","))
	}
	if e.Scope.Admin {
		words = append(words, "admin")
	}
	if e.CallsPerSecond > 0 {
		words = append(words, "rate="+strconv.FormatFloat(e.CallsPerSecond, 'f', -1, 64))
	}
	if e.BytesPerSecond > 0 {
		words = append(words, "bytes="+strconv.FormatInt(e.BytesPerSecond, 10))
	}
	if !e.Expires.IsZero() {
		words = append(words, "expires="+e.Expires.UTC().Format(time.RFC3339))
	}
	return strings.Join(words, " ")
}

// set reads one field of a line, or of the command that makes one.
func (e *Entry) set(field string) error {
	key, value, hasValue := strings.Cut(field, "=")
	for i, verb := range listed {
		if key == verb.String() && hasValue {
			return e.Scope.allow(i, value)
		}
	}
	switch {
	case field == "admin":
		e.Scope.Admin = true
		return nil
	case key == "rate" && hasValue:
		return e.setRate(value)
	case key == "bytes" && hasValue:
		return e.setBytes(value)
	case key == "expires" && hasValue:
		return e.setExpires(value)
	}
	return badField(field)
}
