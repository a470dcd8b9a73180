package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/invariant"
)

// MaxNameBytes is the longest name of a fork or snapshot that a record holds.
const MaxNameBytes = 128

// ErrBadPayload is matched by every error of the Decode functions. The bytes
// passed their checksum, so either the writer had a bug or somebody forged
// them. Replay turns it into a CorruptError that names the record's file and
// offset.
var ErrBadPayload = errors.New("bad record payload")

func badPayload(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadPayload, fmt.Sprintf(format, args...))
}

// cursor takes fixed-size fields off a payload. The first short read sticks:
// later ones give zeros, and done reports it.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) uint64() uint64 {
	if len(c.rest) < 8 {
		c.rest, c.short = nil, true
		return 0
	}
	v := binary.LittleEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v
}

func (c *cursor) uint32() uint32 {
	if len(c.rest) < 4 {
		c.rest, c.short = nil, true
		return 0
	}
	v := binary.LittleEndian.Uint32(c.rest)
	c.rest = c.rest[4:]
	return v
}

// name takes one length byte and that many bytes of text.
func (c *cursor) name() string {
	if len(c.rest) < 1 || int(c.rest[0]) > MaxNameBytes || len(c.rest) < 1+int(c.rest[0]) {
		c.rest, c.short = nil, true
		return ""
	}
	n := int(c.rest[0])
	s := string(c.rest[1 : 1+n])
	c.rest = c.rest[1+n:]
	return s
}

// done is nil if the payload held all fields of a record of kind k and nothing
// more.
func (c *cursor) done(k Kind) error {
	if c.short {
		return badPayload("%v record is cut short or its name is too long", k)
	}
	if len(c.rest) != 0 {
		return badPayload("%v record has %d bytes too many", k, len(c.rest))
	}
	return nil
}

func appendUint64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

func appendUint32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }

// appendName is the inverse of cursor.name. A name that is too long could never
// be read back, so the engine must have refused it before.
func appendName(dst []byte, name string) []byte {
	invariant.Check(len(name) <= MaxNameBytes, "wal: name of %d bytes in a record", len(name))
	dst = append(dst, byte(len(name)))
	return append(dst, name...)
}
