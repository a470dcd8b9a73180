package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// others are the stores that may be asked for besides.
var others = []contestant{
	{"badger", openBadger, badgerSettings},
	{"bbolt", openBbolt, bboltSettings},
}

// othersNamed gives those of a list of names with commas between.
func othersNamed(list string) (out []contestant, err error) {
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			continue
		}
		found := false
		for _, c := range others {
			if c.name == name {
				out, found = append(out, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-peers: %q is unknown; there are badger and bbolt", name)
		}
	}
	return out, nil
}

// plainOnly is what a store that meets others only at plain work leaves out.
type plainOnly struct{}

var errPlainOnly = errors.New("this store is measured at plain work only")

func (plainOnly) del([]byte)                         {}
func (plainOnly) delRange(_, _ []byte) error         { return errPlainOnly }
func (plainOnly) keepOld() error                     { return errPlainOnly }
func (plainOnly) seek(_, _ []byte) ([]byte, error)   { return nil, errPlainOnly }
func (plainOnly) wrote() (flushed, compacted uint64) { return 0, 0 }
func (plainOnly) hiding() uint64                     { return 0 }

// pending is the rows of a batch.
type pending struct{ keys, values [][]byte }

func (p *pending) set(key, value []byte) {
	p.keys, p.values = append(p.keys, bytes.Clone(key)), append(p.values, bytes.Clone(value))
}

func (p *pending) reset() { p.keys, p.values = p.keys[:0], p.values[:0] }
