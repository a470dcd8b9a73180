package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"github.com/tinedb/tine/engine"
)

const (
	keyBytes   = 16
	valueBytes = 100
)

// key gives row i's key: the same length for all, in an order unlike that of i.
func key(dst []byte, i int) []byte {
	return hexKey(dst, uint64(i)*0x9e3779b97f4a7c15)
}

// hexKey gives n as a key; keys are in the order of their numbers.
func hexKey(dst []byte, n uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], n)
	return hex.AppendEncode(dst[:0], raw[:])
}

// value gives row i's value as written by a writer: half of it compresses.
func value(dst []byte, i int, writer string) []byte {
	dst = fmt.Appendf(dst[:0], "%d by %s ", i, writer)
	r := rand.New(rand.NewPCG(uint64(i), 7))
	for len(dst) < valueBytes/2 {
		dst = append(dst, byte(r.Uint32()))
	}
	for len(dst) < valueBytes {
		dst = append(dst, '.')
	}
	return dst[:valueBytes]
}

// load fills a new store with rows and brings it to rest.
func load(dir string, rows int) (*engine.Store, *engine.Fork, error) {
	s, err := engine.Open(dir, &engine.Options{CacheBytes: 2 << 30})
	if err != nil {
		return nil, nil, err
	}
	f, err := s.Fork(engine.MainFork)
	if err != nil {
		return nil, nil, err
	}
	b := s.NewBatch()
	var k, v []byte
	for i := range rows {
		k, v = key(k, i), value(v, i, "main")
		b.Set(f, k, v)
		if b.Len() == 1000 || i == rows-1 {
			if err := b.Commit(engine.NoSync); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := s.Flush(); err != nil {
		return nil, nil, err
	}
	return s, f, s.Settle()
}
