package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What JSON cannot say is refused: another key would be written than the one that stands
// there.
func TestABatchHoldsNoBytesThatAreNotText(t *testing.T) {
	dir := newStore(t)
	before := ok(t, in(dir, "scan")...)
	for name, line := range map[string]string{
		"a key that is not UTF-8":          "{\"set\":\"k\xff\",\"value\":\"v\"}",
		"a value that is not UTF-8":        "{\"set\":\"k\",\"value\":\"\xc3\x28\"}",
		"a deleted key that is not UTF-8":  "{\"delete\":\"\x80\"}",
		"a bound that is not UTF-8":        "{\"delete_range\":true,\"from\":\"\xfe\"}",
		"a surrogate in UTF-8":             "{\"set\":\"\xed\xa0\x80\",\"value\":\"v\"}",
		"the first half of a pair":         `{"set":"\ud83d","value":"v"}`,
		"the first half before text":       `{"set":"\ud83dxxxxxxx","value":"v"}`,
		"the second half of a pair":        `{"set":"k","value":"\uDE00"}`,
		"two first halves":                 `{"set":"k","value":"\ud83d\ud83d"}`,
		"half a pair behind a backslash":   `{"set":"k","value":"\\\ud83d"}`,
		"half a pair, and an escaped word": `{"set":"k","value":"\ud83d\\ude00"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := tineWith(`{"set":"good","value":"v"}`+"\n"+line, in(dir, "batch")...)
			require.Equal(t, exitUsage, r.code, "%s%s", r.out, r.err)
			require.Contains(t, r.err, "write 2 of the batch")
			require.Contains(t, r.err, "value_hex")
		})
	}
	require.Equal(t, before, ok(t, in(dir, "scan")...), "nothing is written")

	for key, line := range map[string]string{
		"k\\ud83d":   `{"set":"k\\ud83d","value":"v"}`,
		"\U0001F600": `{"set":"\ud83d\ude00","value":"v"}`,
		"\uFFFD":     `{"set":"\ufffd","value":"v"}`,
		"ü\n\"é":     `{"set":"ü\n\"\u00e9","value":"v"}`,
	} {
		r := tineWith(line, in(dir, "batch")...)
		require.Zero(t, r.code, r.err)
		require.Equal(t, "v", ok(t, in(dir, "get", key)...))
	}
	require.Zero(t, tineWith(`{"set_hex":"6bff","value_hex":"c328"}`, in(dir, "batch")...).code)
	require.Equal(t, "c328\n", ok(t, in(dir, "--hex", "get", "6bff")...))
}
