package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// typed is one command of a page, and what it prints there.
type typed struct {
	line    int
	command string
	output  []string
}

// commands finds what stands in the blocks of a page that are marked as console.
func commands(t *testing.T, page string) (out []typed) {
	t.Helper()
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			out = append(out, typed{line: i + 1, command: line[2:]})
		case strings.HasPrefix(line, "> "):
			out[len(out)-1].command += "\n" + line[2:]
		default:
			require.NotEmpty(t, out, "line %d", i+1)
			out[len(out)-1].output = append(out[len(out)-1].output, line)
		}
	}
	return out
}

var spaces = regexp.MustCompile(` +`)

// printed makes a pattern of what a page says: … is anything, on a line of its own any
// lines, and how many spaces there are does not matter.
func printed(lines []string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range lines {
		if line == "…" {
			b.WriteString(`(?s:.*)`)
			continue
		}
		parts := strings.Split(spaces.ReplaceAllString(line, " "), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		b.WriteString(strings.Join(parts, ".*") + `\n`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// The page is typed into a shell, line by line, and prints what it says.
func TestWalkthrough(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts some 250 processes")
	}
	for _, program := range []string{"bash", "xargs", "seq", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the page needs %s", program)
		}
	}
	page, err := os.ReadFile("../../docs/walkthrough.md")
	require.NoError(t, err)
	listen, admin := freeAddress(t), freeAddress(t)
	text := strings.NewReplacer("127.0.0.1:4790", listen, "127.0.0.1:4791", admin).Replace(string(page))
	steps := commands(t, text)
	require.Greater(t, len(steps), 40)

	dir, bin := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "tine"), fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", beTine, self), 0o755))

	// Behind each command stands its mark, with which its output is cut off. What it ends
	// with is kept for the next one.
	const mark = "\x1eDONE\x1e"
	var script strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\n__code=$?; printf '%s'; (exit $__code)\n", s.command, mark)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), "LC_ALL=C",
		"TINE_LISTEN=" + listen, "TINE_ADMIN=" + admin, "TINE_PPROF=off",
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { // the node, if the script did not come to its end
		address, err := os.ReadFile(filepath.Join(dir, "address"))
		var pid int
		if at := strings.LastIndex(string(address), "pid="); err == nil && at >= 0 {
			if _, err := fmt.Sscanf(string(address)[at:], "pid=%d", &pid); err == nil && t.Failed() {
				_ = exec.Command("kill", "-KILL", fmt.Sprint(pid)).Run()
			}
		}
	})
	_ = cmd.Wait() // the last command is one that fails
	got := strings.Split(out.String(), mark)
	for i, s := range steps {
		require.Greater(t, len(got), i, "the shell ended before line %d:\n%s", s.line, out.String())
		is := spaces.ReplaceAllString(got[i], " ")
		if is != "" && !strings.HasSuffix(is, "\n") {
			is += "\n" // a value is printed as it is
		}
		require.Regexp(t, printed(s.output), is, "docs/walkthrough.md, line %d: %s", s.line, s.command)
	}
	require.Len(t, got, len(steps)+1)
}
