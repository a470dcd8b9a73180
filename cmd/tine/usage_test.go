package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWordsThatAreNotKnownGetASuggestion(t *testing.T) {
	dir := newStore(t)
	for _, c := range []struct {
		name string
		args []string
		text []string
	}{
		{"a verb with a letter too many", []string{"gett"}, []string{`unknown command "gett"`, "did you mean get?"}},
		{"a verb like no other", []string{"xyzzy"}, []string{`unknown command "xyzzy"`, "--help"}},
		{"a verb of a group", []string{"fork", "creat"}, []string{`"tine fork"`, "did you mean create?"}},
		{"a flag with a letter missing", []string{"scan", "--revers"}, []string{"did you mean --reverse?"}},
		{"a flag of all verbs", []string{"--jsn", "scan"}, []string{"did you mean --json?"}},
		{"a flag like no other", []string{"scan", "--xyzzyxyzzy"}, []string{"--xyzzyxyzzy", "--help"}},
		{"a flag without its value", []string{"scan", "--from"}, []string{"needs an argument"}},
		{"a flag with a value of another kind", []string{"scan", "--limit", "many"}, []string{"many"}},
		{"too few arguments", []string{"get"}, []string{"takes one key", "usage: tine get KEY"}},
		{"too many arguments", []string{"get", "a", "b"}, []string{"takes one key, but got 2"}},
		{"a flag of del with a letter missing", []string{"del", "--rang", "a", "b"}, []string{"did you mean --range?"}},
		{"an argument for a verb without", []string{"stats", "x"}, []string{"takes nothing"}},
	} {
		t.Run(c.name, func(t *testing.T) { fails(t, exitUsage, in(dir, c.args...), c.text...) })
	}
}

func TestStoreMustBeNamed(t *testing.T) {
	fails(t, exitUsage, []string{"get", "k"}, "--data DIR", "TINE_DATA")
	dir := newStore(t)
	t.Setenv("TINE_DATA", dir)
	require.Equal(t, "value of a/1", ok(t, "get", "a/1"))
}

func TestErrorsAsJSON(t *testing.T) {
	dir := newStore(t)
	r := tine(in(dir, "--json", "get", "nothing")...)
	require.Equal(t, exitNotFound, r.code)
	var p problem
	require.NoError(t, json.Unmarshal([]byte(r.err), &p))
	require.Equal(t, "not_found", p.Kind)
	require.Equal(t, exitNotFound, p.Code)

	r = tine("--jsn", "--json", "get", "nothing")
	require.Equal(t, exitUsage, r.code)
	require.NoError(t, json.Unmarshal([]byte(r.err), &p), "also where flags cannot be parsed: %s", r.err)
}

func TestHelpAndVersion(t *testing.T) {
	require.Contains(t, ok(t), "tine --data DIR put greeting hello")
	require.Contains(t, ok(t, "help", "exit-codes"), "5  corruption found")
	require.Contains(t, ok(t, "fork"), "create")
	require.Contains(t, ok(t, "version"), "tine ")
	require.NotEmpty(t, inJSON[map[string]string](t, "version")["go"])
	require.Contains(t, ok(t, "completion", "bash"), "__start_tine")
	require.NotContains(t, ok(t, "--help"), "demo-writer")
}
