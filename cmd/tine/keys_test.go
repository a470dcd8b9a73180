package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestPutGetDel(t *testing.T) {
	dir := newStore(t)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "a/1")...), "byte for byte, no newline")
	ok(t, in(dir, "put", "empty", "")...)
	require.Equal(t, "", ok(t, in(dir, "get", "empty")...))

	r := tineWith("from\nstdin", in(dir, "put", "k", "-")...)
	require.Equal(t, exitOK, r.code, r.err)
	require.Equal(t, "from\nstdin", ok(t, in(dir, "get", "k")...))

	file := filepath.Join(t.TempDir(), "value")
	require.NoError(t, os.WriteFile(file, []byte("from a file\x00"), 0o644))
	ok(t, in(dir, "put", "k", "--file", file)...)
	require.Equal(t, "from a file\x00", ok(t, in(dir, "get", "k")...))

	ok(t, in(dir, "del", "k", "a/1", "never there")...)
	fails(t, exitNotFound, in(dir, "get", "k"), "get k", "key not found")
	fails(t, exitNotFound, in(dir, "get", "a/1"))
	require.Equal(t, "value of a/2", ok(t, in(dir, "get", "a/2")...))
}

func TestDelOfRangesAndPrefixes(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		left string
	}{
		{"the first key is in it, the end is not", []string{"--range", "a/1", "a/2"}, "a/2 b/1"},
		{"between keys", []string{"--range", "a/11", "b"}, "a/1 b/1"},
		{"open below", []string{"--range", "", "a/2"}, "a/2 b/1"},
		{"open above", []string{"--range", "a/2", ""}, "a/1"},
		{"everything", []string{"--range", "", ""}, ""},
		{"an empty range", []string{"--range", "a/2", "a/2"}, "a/1 a/2 b/1"},
		{"flags behind the bounds", []string{"a/1", "a/2", "--range"}, "a/2 b/1"},
		{"a prefix", []string{"--prefix", "a/"}, "b/1"},
		{"a prefix that is a key", []string{"--prefix", "a/1"}, "a/2 b/1"},
		{"a prefix that no key has", []string{"--prefix", "c"}, "a/1 a/2 b/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := newStore(t)
			ok(t, in(dir, "fork", "create", "side")...)
			require.Empty(t, ok(t, in(dir, append([]string{"del", "--fork", "side"}, c.args...)...)...))
			got := ok(t, in(dir, "scan", "--keys-only", "--fork", "side")...)
			require.Equal(t, c.left, strings.Join(strings.Fields(got), " "))
			got = ok(t, in(dir, "scan", "--keys-only")...)
			require.Equal(t, "a/1 a/2 b/1", strings.Join(strings.Fields(got), " "), "another fork")
		})
	}
	dir := newStore(t)
	require.JSONEq(t, `{"fork":"main","from":"a/1","to":"a/2"}`, ok(t, in(dir, "--json", "del", "--range", "a/1", "a/2")...))
	require.JSONEq(t, `{"fork":"main","to":"a"}`, ok(t, in(dir, "--json", "del", "--range", "", "a")...))
	require.JSONEq(t, `{"fork":"main","from":"b","to":"c"}`, ok(t, in(dir, "--json", "del", "--prefix", "b")...))
	require.JSONEq(t, `{"fork":"main","keys":2}`, ok(t, in(dir, "--json", "del", "x", "y")...))
	require.JSONEq(t, `{"fork":"main","from_hex":"ff"}`, ok(t, in(dir, "--json", "--hex", "del", "--prefix", "ff")...), "nothing is above it but the end")
	require.Equal(t, "a/2\n", ok(t, in(dir, "scan", "--keys-only")...))

	fails(t, exitUsage, in(dir, "del"), "takes at least one key", "--range LO HI")
	fails(t, exitUsage, in(dir, "del", "--range", "a"), "takes two bounds", "got 1")
	fails(t, exitUsage, in(dir, "del", "--range", "a", "b", "c"), "takes two bounds", "got 3")
	fails(t, exitUsage, in(dir, "del", "--range", "b", "a"), `"b" is above`, `"a"`)
	fails(t, exitUsage, in(dir, "del", "--prefix", "a", "a/2"), "no keys beside --prefix")
	fails(t, exitUsage, in(dir, "del", "--prefix", ""), "prefix is empty")
	fails(t, exitUsage, in(dir, "del", "--prefix", "a", "--range", "a", "b"), "choose one")
	fails(t, exitUsage, in(dir, "--hex", "del", "--prefix", "x"), "not hexadecimal")
	fails(t, exitUsage, in(dir, "del", "--range", "", strings.Repeat("k", engine.MaxKeyBytes+1)), "65537 bytes")
	fails(t, exitNotFound, in(dir, "del", "--fork", "nobody", "--range", "", ""), "nobody")
	require.Equal(t, "a/2\n", ok(t, in(dir, "scan", "--keys-only")...))
}

func TestHexIsReadAndPrinted(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "--hex", "put", "00ff", "deadbeef")...)
	require.Equal(t, "deadbeef\n", ok(t, in(dir, "--hex", "get", "00ff")...))
	require.Equal(t, "00ff\tdeadbeef\n", ok(t, in(dir, "--hex", "scan", "--to", "01")...))
	require.Equal(t, "\\x00\\xff\tޭ\\xbe\\xef\n", ok(t, in(dir, "scan", "--limit", "1")...))
	require.JSONEq(t, `{"key_hex":"00ff","value_hex":"deadbeef"}`, ok(t, in(dir, "--json", "scan", "--limit", "1")...))
	r := tineWith("beef\n", in(dir, "--hex", "put", "01", "-")...)
	require.Equal(t, exitOK, r.code, r.err)
	require.Equal(t, "beef\n", ok(t, in(dir, "--hex", "get", "01")...))
	fails(t, exitUsage, in(dir, "--hex", "put", "xx", "00"), `"xx" is not hexadecimal`)
}

func TestScan(t *testing.T) {
	dir := newStore(t)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"all", nil, "a/1 a/2 b/1"},
		{"from a key, which is included", []string{"--from", "a/2"}, "a/2 b/1"},
		{"to a key, which is not", []string{"--to", "a/2"}, "a/1"},
		{"an empty range", []string{"--from", "a/2", "--to", "a/2"}, ""},
		{"a prefix", []string{"--prefix", "a/"}, "a/1 a/2"},
		{"a prefix within bounds", []string{"--prefix", "a/", "--from", "a/2"}, "a/2"},
		{"a prefix outside the bounds", []string{"--prefix", "a/", "--from", "b"}, ""},
		{"backwards", []string{"--reverse"}, "b/1 a/2 a/1"},
		{"backwards, the first two", []string{"--reverse", "--limit", "2"}, "b/1 a/2"},
		{"backwards below a bound", []string{"--reverse", "--to", "b/1"}, "a/2 a/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ok(t, in(dir, append([]string{"scan", "--keys-only"}, c.args...)...)...)
			require.Equal(t, c.want, strings.Join(strings.Fields(got), " "))
		})
	}
	require.Equal(t, "a/1\tvalue of a/1\n", ok(t, in(dir, "scan", "--limit", "1")...))
	require.JSONEq(t, `{"key":"a/1","value":"value of a/1"}`, ok(t, in(dir, "--json", "scan", "--limit", "1")...))
	fails(t, exitUsage, in(dir, "scan", "--from", "b", "--to", "a"), "--from", "above", "--reverse")
	fails(t, exitUsage, in(dir, "scan", "--limit", "-1"), "below zero")
}

func TestKeysAndValuesOverTheLimitsAreRefused(t *testing.T) {
	dir := newStore(t)
	fails(t, exitUsage, in(dir, "put", "", "v"), "the key is empty")
	fails(t, exitUsage, in(dir, "put", strings.Repeat("k", engine.MaxKeyBytes+1), "v"), "65537 bytes", "65536")
	file := filepath.Join(t.TempDir(), "large")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(engine.MaxValueBytes+1))
	require.NoError(t, f.Close())
	fails(t, exitUsage, in(dir, "put", "k", "--file", file), "more than 67108864 bytes")
	fails(t, exitNotFound, in(dir, "get", "k"))
}

func TestPutWantsExactlyOneValue(t *testing.T) {
	dir := newStore(t)
	fails(t, exitUsage, in(dir, "put", "k"), "one of them")
	fails(t, exitUsage, in(dir, "put", "k", "v", "--file", "f"), "one of them")
	fails(t, exitError, in(dir, "put", "k", "--file", filepath.Join(dir, "no such file")), "no such file")
}
