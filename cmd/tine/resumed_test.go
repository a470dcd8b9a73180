package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// The node's scans end after each message. What is read from a fork then is of several
// moments, and must not look like one.
func TestWhatIsNotOfOneMomentSaysSo(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "import", sourceTree(t, 20), "--prefix", "t/")...)
	ok(t, in(dir, "snapshot", "create", "still")...)
	want := ok(t, in(dir, "scan", "--snapshot", "still", "--keys-only")...)
	addr := serveHere(t, dir, server.Options{Limits: server.Limits{ScanTime: time.Nanosecond, Lease: time.Minute, ScanMessageBytes: 500}})
	out := filepath.Join(t.TempDir(), "out")

	r := tine(at(addr, "scan", "--keys-only")...)
	require.Zero(t, r.code)
	require.Equal(t, want, r.out)
	require.Regexp(t, `^tine: resumed \d+ times: not of one moment; .*\n$`, r.err)
	r = tine(at(addr, "--json", "scan", "--reverse")...)
	require.Zero(t, r.code)
	require.NotContains(t, r.out, "resumed")
	var said resumedResult
	require.NoError(t, json.Unmarshal([]byte(r.err), &said))
	require.Positive(t, said.Resumed)
	require.Contains(t, said.Warning, "not of one moment")
	require.Empty(t, tine(at(addr, "scan", "--limit", "1")...).err, "one message is of one moment")

	fails(t, exitError, at(addr, "export", out, "--prefix", "t/"), "not of one moment", "--snapshot")

	r = tine(at(addr, "scan", "--snapshot", "still", "--keys-only")...)
	require.Zero(t, r.code)
	require.Equal(t, want, r.out)
	require.Empty(t, r.err, "a snapshot is one moment however often it is asked")
	ok(t, at(addr, "export", out+"2", "--prefix", "t/", "--snapshot", "still")...)
	require.Equal(t, 1, strings.Count(ok(t, at(addr, "--json", "export", out+"3", "--prefix", "t/", "--snapshot", "still")...), "\n"))
}
