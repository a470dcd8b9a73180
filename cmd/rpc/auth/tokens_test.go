package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// issue makes a token and its line.
func issue(t *testing.T, name, fields string) (token, line string) {
	t.Helper()
	token, e, err := Issue(name, strings.Fields(fields)...)
	require.NoError(t, err)
	return token, e.Line() + "\n"
}

// put replaces a file as an operator should.
func put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestOnlyATokenOfTheFileIsLetIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	token, line := issue(t, "ci", "read=main")
	other, otherLine := issue(t, "other", "expires=2030-01-31")
	put(t, path, line+otherLine+"edge cert:edge-1 read=main\n")
	tokens, err := Load(path)
	require.NoError(t, err)
	now := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)

	p, err := tokens.ByToken(token, now)
	require.NoError(t, err)
	require.Equal(t, "ci", p.Name())
	require.True(t, p.May(server.VerbRead, "main"))

	secret := strings.TrimPrefix(token, "tine_ci_")
	for _, c := range []struct{ name, token string }{
		{"nothing", ""},
		{"the name alone", "tine_ci_"},
		{"the secret alone", secret},
		{"the secret under another name", "tine_other_" + secret},
		{"the secret under no name", "tine__" + secret},
		{"one character less", token[:len(token)-1]},
		{"one character more", token + "A"},
		{"another last character", token[:len(token)-2] + "--"},
		{"a name that is not there", "tine_nobody_" + secret},
		{"a name that has a certificate", "tine_edge_" + secret},
		{"the hash in the file", strings.Fields(line)[1]},
		{"a mebibyte", "tine_ci_" + strings.Repeat("a", 1<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tokens.ByToken(c.token, now)
			require.ErrorIs(t, err, ErrUnknown)
		})
	}

	_, err = tokens.ByToken(other, now)
	require.NoError(t, err)
	_, err = tokens.ByToken(other, time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC))
	require.ErrorIs(t, err, ErrExpired)

	p, err = tokens.ByCertificate("edge-1", now)
	require.NoError(t, err)
	require.Equal(t, "edge", p.Name())
	for _, name := range []string{"", "edge", "edge-2", "ci"} {
		_, err = tokens.ByCertificate(name, now)
		require.ErrorIs(t, err, ErrMissing, name)
	}
}

func TestTokensAreNeverTheSame(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token, _, err := Issue("a")
		require.NoError(t, err)
		require.LessOrEqual(t, len(token), MaxTokenBytes)
		require.Equal(t, "a", nameIn(token))
		require.False(t, seen[token])
		seen[token] = true
	}
	_, _, err := Issue("A B")
	require.ErrorContains(t, err, "characters other")
	_, _, err = Issue("a", "reed=main")
	require.ErrorContains(t, err, "not understood")
}

func TestAChangedFileIsInForceAndABrokenOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	first, firstLine := issue(t, "first", "read=*")
	second, secondLine := issue(t, "second", "read=*")
	put(t, path, firstLine)
	tokens, err := Load(path)
	require.NoError(t, err)
	now := time.Now()
	in := func(token string) bool {
		_, err := tokens.ByToken(token, now)
		return err == nil
	}

	changed, err := tokens.ReloadIfChanged()
	require.NoError(t, err)
	require.False(t, changed)

	put(t, path, secondLine)
	require.True(t, in(first), "nobody has looked")
	changed, err = tokens.ReloadIfChanged()
	require.NoError(t, err)
	require.True(t, changed)
	require.False(t, in(first))
	require.True(t, in(second))

	put(t, path, firstLine+secondLine+"oops\n")
	changed, err = tokens.ReloadIfChanged()
	require.True(t, changed)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "line 3")
	require.False(t, in(first))
	require.True(t, in(second), "what was loaded stays in force")
	changed, err = tokens.ReloadIfChanged()
	require.NoError(t, err)
	require.False(t, changed, "it is reported once")
	require.Error(t, tokens.Reload(), "but to who asks, again")

	require.NoError(t, os.Remove(path))
	changed, err = tokens.ReloadIfChanged()
	require.True(t, changed)
	require.ErrorIs(t, err, os.ErrNotExist)
	changed, err = tokens.ReloadIfChanged()
	require.NoError(t, err)
	require.False(t, changed)
	require.True(t, in(second))

	put(t, path, "")
	changed, err = tokens.ReloadIfChanged()
	require.NoError(t, err)
	require.True(t, changed)
	require.False(t, in(second), "an empty file lets nobody in")

	s := tokens.Status()
	require.Equal(t, uint64(3), s.Loads)
	require.Equal(t, uint64(3), s.Failures)
	require.Zero(t, s.Entries)
}

// What is wrong with a file need not be in it: mended, it has the same bytes and time.
func TestAFileThatWasRefusedIsInForceOnceItIsMended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	first, firstLine := issue(t, "ci", "read=main")
	second, secondLine := issue(t, "ci", "read=main")
	put(t, path, firstLine)
	require.NoError(t, os.Chmod(path, 0o600))
	tokens, err := Load(path)
	require.NoError(t, err)
	look := func() (bool, error) { return tokens.ReloadIfChanged() }

	put(t, path, secondLine)
	require.NoError(t, os.Chmod(path, 0o666))
	news, err := look()
	require.True(t, news)
	require.ErrorContains(t, err, "chmod go-w")
	for range 3 {
		news, err = look()
		require.NoError(t, err)
		require.False(t, news, "it is reported once")
	}
	_, err = tokens.ByToken(first, time.Now())
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o622))
	news, err = look()
	require.True(t, news, "another failure is news")
	require.ErrorContains(t, err, "-rw--w--w-")

	require.NoError(t, os.Chmod(path, 0o600))
	news, err = look()
	require.NoError(t, err)
	require.True(t, news)
	_, err = tokens.ByToken(second, time.Now())
	require.NoError(t, err)
	require.Equal(t, uint64(2), tokens.Status().Failures)

	require.NoError(t, os.Chmod(path, 0o602))
	_, err = look()
	require.ErrorContains(t, err, "chmod go-w", "a mode that goes bad is noticed")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = look()
	require.ErrorContains(t, err, "not a regular file")
	news, err = look()
	require.NoError(t, err)
	require.False(t, news)
}

func TestAFileThatOthersMayWriteIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	_, line := issue(t, "ci", "read=main")
	put(t, path, line)
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := Load(path)
		require.ErrorContains(t, err, "chmod go-w")
	}
	require.NoError(t, os.Chmod(path, 0o644))
	_, err := Load(path)
	require.NoError(t, err)
	_, err = Load(filepath.Dir(path))
	require.ErrorContains(t, err, "not a regular file")
}
