package server_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// BenchmarkCalls is what a call costs, both ends of the wire in one process.
func BenchmarkCalls(b *testing.B) {
	n := startNode(b, server.Options{})
	for i := range 1000 {
		n.put("main", fmt.Sprintf("key-%04d", i), strings.Repeat("v", 100))
	}
	get := &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("key-0500")}}
	calls := map[string]func() error{
		"about": func() error { return about(b.Context(), n) },
		"get":   func() error { return failed(n.Get(b.Context(), get)) },
		"write": func() error {
			return failed(n.Write(b.Context(), &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", "v")}, NoSync: true}))
		},
		"write once": func() error { return failed(n.Write(b.Context(), batch(idAt(time.Now()), "main", "k", "v"))) },
	}
	for _, name := range []string{"about", "get", "write", "write once"} {
		for _, callers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s by %d", name, callers), func(b *testing.B) {
				b.ReportAllocs()
				var failures atomic.Int64
				b.SetParallelism(callers)
				if callers == 1 {
					for b.Loop() {
						require.NoError(b, calls[name]())
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if calls[name]() != nil {
							failures.Add(1)
						}
					}
				})
				require.Zero(b, failures.Load())
			})
		}
	}
	b.Run("scan of 1000 rows", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rows, _, err := n.scan(&tinepb.ScanRequest{Source: fork("main"), Lower: []byte("key-")})
			require.NoError(b, err)
			require.Equal(b, 1000, len(rows))
		}
	})
}
