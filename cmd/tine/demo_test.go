package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/tine/internal/demo"
)

func TestDemo(t *testing.T) {
	source := sourceTree(t, 60)
	dir := filepath.Join(t.TempDir(), "store")
	t.Setenv("TINE_DATA", newStore(t)) // not meant for the demo
	out := ok(t, "demo", "--agents", "30", "--no-crash", "--source", source, "--data", dir)
	require.Contains(t, out, "each sees only its own changes: 33 of 33 forks verified")
	require.Contains(t, out, "… 26 more", "four of 30 are drawn")
	require.Contains(t, ok(t, in(dir, "check", "--level", "full")...), "ok")
	require.Equal(t, 1, len(inJSON[[]forkRow](t, in(dir, "fork", "list")...)), "all but main are dropped")
	fails(t, exitUsage, in(dir, "demo", "--agents", "30"), "new or empty")
	fails(t, exitUsage, []string{"demo", "--agents", "1"}, "at least 2")
	fails(t, exitUsage, []string{"demo", "--crash", "--no-crash"}, "choose one")
}

func TestDemoWithACrash(t *testing.T) {
	t.Setenv(beTine, "1") // for the writer, which is this program again
	r := inJSON[demo.Report](t, "demo", "--agents", "10", "--source", sourceTree(t, 40))
	require.NotNil(t, r.Crash)
	require.Greater(t, r.Crash.Acknowledged, 400)
	require.Equal(t, r.Crash.Acknowledged, r.Crash.Present)
	require.Equal(t, 12, r.ForksVerified)
	require.True(t, r.CheckOK)
	require.Empty(t, r.Dir)
}

// The binary that people get, on its own.
func TestBuiltBinaryRunsTheDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	binary := filepath.Join(t.TempDir(), "tine")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(binary, "demo", "--agents", "20", "--crash", "--json", "--source", sourceTree(t, 50))
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	var r demo.Report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	require.Equal(t, r.Crash.Acknowledged, r.Crash.Present)
	require.Equal(t, 22, r.ForksVerified)
	left, err := os.ReadDir(cmd.Env[len(cmd.Env)-1][len("TMPDIR="):])
	require.NoError(t, err)
	require.Empty(t, left, "the demo tidies up")
}
