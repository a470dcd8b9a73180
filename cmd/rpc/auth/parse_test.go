package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
)

const someHash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestALineSaysWhoMayDoWhat(t *testing.T) {
	entries, err := Parse(`
# the platform's runners
ci   ` + someHash + `  read=main,run/*,@day-* write=run/* fork=run/*   # a comment
ops cert:"Operations Team" admin read=* rate=2.5 bytes=64KiB expires=2030-01-31
nobody cert:x
`)
	require.NoError(t, err)
	require.Len(t, entries, 3)

	ci := entries[0].Scope
	for _, c := range []struct {
		name string
		verb server.Verb
		fork string
		may  bool
	}{
		{"a name that is listed", server.VerbRead, "main", true},
		{"a name with the prefix", server.VerbRead, "run/7", true},
		{"the prefix itself", server.VerbRead, "run/", true},
		{"a name that only begins as a listed one", server.VerbRead, "main2", false},
		{"a name that a listed one begins with", server.VerbRead, "mai", false},
		{"a name beside the prefix", server.VerbRead, "run", false},
		{"a prefix of another access", server.VerbWrite, "main", false},
		{"the same in capitals", server.VerbRead, "Main", false},
		{"a snapshot with the prefix", server.VerbRead, "@day-1", true},
		{"a fork whose name is that of a snapshot", server.VerbRead, "day-1", false},
		{"nothing", server.VerbRead, "", false},
		{"fork", server.VerbFork, "run/x", true},
		{"fork elsewhere", server.VerbFork, "main", false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.may, ci.Allows(c.verb, c.fork)) })
	}
	require.False(t, ci.Admin)
	require.True(t, ci.AllowsAll(server.VerbFork, "run/"))
	require.True(t, ci.AllowsAll(server.VerbFork, "run/a"))
	require.False(t, ci.AllowsAll(server.VerbFork, "run"), "it has names that are not allowed")
	require.False(t, ci.AllowsAll(server.VerbRead, "main"), "it has names that are not allowed")

	ops := entries[1]
	require.Equal(t, "Operations Team", ops.Certificate)
	require.True(t, ops.Scope.Admin)
	require.True(t, ops.Scope.AllowsAll(server.VerbRead, ""))
	require.True(t, ops.Scope.Allows(server.VerbRead, "@day-1"), "a star alone is everything")
	require.False(t, ops.Scope.Allows(server.VerbWrite, "main"), "to read all and to administer is not to write")
	require.Equal(t, 2.5, ops.CallsPerSecond)
	require.Equal(t, int64(64<<10), ops.BytesPerSecond)
	require.Equal(t, time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC), ops.Expires)

	none := entries[2].Scope
	for v := range server.VerbAdmin + 2 {
		require.False(t, none.Allows(v, "main"), "what is not allowed is denied")
		require.False(t, none.AllowsAll(v, ""))
	}
}

// everything is the scope of those who may do all there is.
func everything(t *testing.T) Scope {
	t.Helper()
	s := Scope{Admin: true}
	for i := range listed {
		require.NoError(t, s.allow(i, "*"))
	}
	return s
}

func TestALineThatIsWrittenIsReadAsItWas(t *testing.T) {
	hash := HashToken("x")
	e := Entry{Name: "a-1", Hash: &hash, Scope: everything(t), CallsPerSecond: 0.5, BytesPerSecond: 7, Expires: time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)}
	back, err := Parse(e.Line())
	require.NoError(t, err)
	require.Equal(t, []Entry{e}, back)

	e = Entry{Name: "b", Certificate: "with spaces # and é"}
	back, err = Parse(e.Line())
	require.NoError(t, err)
	require.Equal(t, []Entry{e}, back)
}

func TestWhatIsNotUnderstoodIsRefusedWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, line, text string }{
		{"a name alone", "ci", "neither sha256:… nor cert:…"},
		{"a name with an underscore", "c_i " + someHash, "characters other"},
		{"a name in capitals", "CI " + someHash, "characters other"},
		{"a name that is too long", strings.Repeat("a", 65) + " " + someHash, "1 to 64"},
		{"the name of nobody", "anybody " + someHash, "that of whom nobody asks"},
		{"a token in place of its hash", "ci tine_ci_abc", "neither sha256:… nor cert:…"},
		{"a hash that is too short", "ci sha256:abcd", "64 hexadecimal digits"},
		{"a token behind sha256:", "ci sha256:tine_ci_secret", "64 hexadecimal digits"},
		{"a certificate without a name", "ci cert:", "names no certificate"},
		{"a field that is not known", "ci " + someHash + " reed=main", `"reed=main" is not understood`},
		{"admin with a value", "ci " + someHash + " admin=yes", "not understood"},
		{"read without names", "ci " + someHash + " read", "not understood"},
		{"an empty list", "ci " + someHash + " read=", "neither a name nor a prefix"},
		{"an empty name in a list", "ci " + someHash + " read=a,,b", "neither a name nor a prefix"},
		{"a star in the middle", "ci " + someHash + " read=a*b", "neither a name nor a prefix"},
		{"an at sign alone", "ci " + someHash + " read=@", "neither a name nor a prefix"},
		{"two at signs", "ci " + someHash + " read=@@a", "neither a name nor a prefix"},
		{"a name that no fork can have", "ci " + someHash + " read=a:b", "invalid name"},
		{"a field that comes twice", "ci " + someHash + " read=a read=b", "read is given twice"},
		{"a rate that is none", "ci " + someHash + " rate=fast", "no number of calls"},
		{"a rate of nothing", "ci " + someHash + " rate=0", "no number of calls"},
		{"a rate that is not a number", "ci " + someHash + " rate=NaN", "no number of calls"},
		{"a quota below nothing", "ci " + someHash + " bytes=-1", "no number of bytes"},
		{"a quota that overflows", "ci " + someHash + " bytes=9223372036854775807GiB", "no number of bytes"},
		{"a day that is none", "ci " + someHash + " expires=tomorrow", "neither a day"},
		{"an open quotation", `ci cert:"a`, "not closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("# first\n" + c.line + "\n")
			require.ErrorContains(t, err, c.text)
			require.ErrorContains(t, err, "line 2: ")
			require.NotContains(t, err.Error(), "secret")
		})
	}
	_, err := Parse("a " + someHash + "\na cert:b\n")
	require.ErrorContains(t, err, `line 2: the name "a" stands in line 1 already`)
	_, err = Parse("a " + someHash + "\nb " + someHash + "\n")
	require.ErrorContains(t, err, `line 2: "b" is known by the same token`)
}

func FuzzParse(f *testing.F) {
	f.Add("ci " + someHash + " read=main,run/* admin rate=1 bytes=1KiB expires=2030-01-31 # c")
	f.Add("ops cert:\"a b\" write=*\n\n#x")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := Parse(text)
		if err != nil {
			return
		}
		var lines []string
		for _, e := range entries {
			lines = append(lines, e.Line())
		}
		again, err := Parse(strings.Join(lines, "\n"))
		require.NoError(t, err, "%q", lines)
		require.Equal(t, len(entries), len(again))
		for i := range again {
			require.Equal(t, entries[i].Line(), again[i].Line())
		}
	})
}
