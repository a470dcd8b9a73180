package node

import (
	"fmt"
	"log/slog"
	"strconv"

	"github.com/tinedb/tine/cmd/rpc/auth"
)

// byteSize is a number of bytes as a flag, an environment variable or a file gives it.
type byteSize int64

// String gives the number with the largest unit that divides it.
func (b *byteSize) String() string {
	n, unit := int64(*b), ""
	for _, next := range []string{"KiB", "MiB", "GiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, next
	}
	return strconv.FormatInt(n, 10) + unit
}

// Set reads 4096, 64KiB, 512MiB or 2GiB.
func (b *byteSize) Set(s string) error {
	n, err := auth.ParseBytes(s)
	if err != nil {
		return err
	}
	*b = byteSize(n)
	return nil
}

// Type is what help calls it.
func (b *byteSize) Type() string { return "bytes" }

// choice is one of some words.
type choice struct {
	word  *string
	words []string
}

func (c *choice) String() string {
	if c.word == nil {
		return ""
	}
	return *c.word
}

// Set takes one of the words.
func (c *choice) Set(s string) error {
	for _, w := range c.words {
		if s == w {
			*c.word = s
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", s, c.words)
}

// Type is what help calls it.
func (c *choice) Type() string { return "word" }

// level is a log level.
func level(word string) slog.Level {
	switch word {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
