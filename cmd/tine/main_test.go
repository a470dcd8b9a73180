package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// beTine makes the test binary behave as the command, for tests that need a
// process of their own, the demo's writer among them.
const beTine = "TINE_TEST_BE_TINE"

func TestMain(m *testing.M) {
	if os.Getenv(beTine) != "" {
		main()
	}
	os.Unsetenv("TINE_DATA")
	os.Exit(m.Run())
}

// result is what one call printed and how it ended.
type result struct {
	code     int
	out, err string
}

// tine calls the command in this process.
func tine(args ...string) result { return tineWith("", args...) }

func tineWith(in string, args ...string) result {
	var out, errOut bytes.Buffer
	code := run(args, strings.NewReader(in), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// ok calls the command, which must succeed, and gives its output.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := tine(args...)
	require.Equal(t, exitOK, r.code, "tine %q: %s", args, r.err)
	return r.out
}

// fails calls the command, which must end with code and one line that has all the
// texts.
func fails(t *testing.T, code int, args []string, texts ...string) {
	t.Helper()
	r := tine(args...)
	require.Equal(t, code, r.code, "tine %q: %s%s", args, r.out, r.err)
	require.True(t, strings.HasPrefix(r.err, "tine: "), r.err)
	require.Equal(t, 1, strings.Count(r.err, "\n"), "one line: %s", r.err)
	for _, text := range texts {
		require.Contains(t, r.err, text)
	}
}

// inJSON calls the command with --json and decodes its one document.
func inJSON[T any](t *testing.T, args ...string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(ok(t, append([]string{"--json"}, args...)...)))
	require.NoError(t, dec.Decode(&v))
	require.False(t, dec.More(), "one document")
	return v
}

// in puts --data before the arguments.
func in(dir string, args ...string) []string { return append([]string{"--data", dir}, args...) }

// newStore makes a store with a few keys in it.
func newStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		ok(t, in(dir, "put", key, "value of "+key)...)
	}
	return dir
}

// command is the command as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), beTine+"=1")
	return cmd
}

// sourceTree makes a small directory tree to import.
func sourceTree(t *testing.T, files int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range files {
		sub := filepath.Join(dir, fmt.Sprintf("d%d", i%4))
		require.NoError(t, os.MkdirAll(sub, 0o755))
		text := strings.Repeat(fmt.Sprintf("line of file %d\n", i), 20+i%30)
		require.NoError(t, os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%03d.txt", i)), []byte(text), 0o644))
	}
	return dir
}
