package engine

import (
	"bytes"
	"fmt"
)

// The limits of the format. What is over a limit is refused with ErrLimit before
// anything changes.
const (
	MaxKeyBytes   = 64 << 10  // of one key; an empty key is refused as well
	MaxValueBytes = 64 << 20  // of one value
	MaxBatchBytes = 256 << 20 // of all keys and values of one batch, with about 16 bytes for each
	MaxNameBytes  = 128       // of a fork's or a snapshot's name
	MaxForkMany   = 1024      // forks made by one ForkMany
	MaxDropMany   = 16 << 10  // forks dropped by one DropForks, DropPrefix or DropSubtree
)

// CheckName tells whether name may name a fork or a snapshot: 1 to 128 bytes of
// A-Z a-z 0-9 . _ / and -. A name is only a label, never a path.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: it is empty", ErrInvalidName)
	}
	if len(name) > MaxNameBytes {
		return fmt.Errorf("%w: name of %d bytes, at most %d are allowed", ErrLimit, len(name), MaxNameBytes)
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '/', c == '-':
		default:
			return fmt.Errorf("%w: byte %q at %d of %q; allowed are A-Z a-z 0-9 . _ / -", ErrInvalidName, c, i, name)
		}
	}
	return nil
}

func checkKey(key []byte) error {
	if len(key) == 0 {
		return fmt.Errorf("%w: a key has at least one byte", ErrLimit)
	}
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: key of %d bytes, at most %d are allowed", ErrLimit, len(key), MaxKeyBytes)
	}
	return nil
}

func checkValue(value []byte) error {
	if len(value) > MaxValueBytes {
		return fmt.Errorf("%w: value of %d bytes, at most %d are allowed", ErrLimit, len(value), MaxValueBytes)
	}
	return nil
}

// Range is the keys in [Lower, Upper). A nil bound is open.
type Range struct {
	Lower, Upper []byte
}

func (r Range) check() error {
	if r.Lower != nil && r.Upper != nil && bytes.Compare(r.Lower, r.Upper) > 0 {
		return fmt.Errorf("%w: lower bound %q is above upper bound %q", ErrInvalidRange, r.Lower, r.Upper)
	}
	return nil
}

// checkBounds is check, for bounds that are written down.
func (r Range) checkBounds() error {
	for _, bound := range [][]byte{r.Lower, r.Upper} {
		if len(bound) > MaxKeyBytes {
			return fmt.Errorf("%w: bound of %d bytes, at most %d are allowed", ErrLimit, len(bound), MaxKeyBytes)
		}
	}
	return r.check()
}
