package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	s, err := engine.Open(dir, nil)
	require.NoError(t, err)
	main, err := s.Fork("main")
	require.NoError(t, err)
	for i := range 1000 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "k%04d", i), fmt.Appendf(nil, "v%d", i), engine.NoSync))
	}
	a, err := main.Fork("a")
	require.NoError(t, err)
	require.NoError(t, a.Set([]byte("k0001"), []byte("A")))
	require.NoError(t, a.Delete([]byte("k0002")))
	require.NoError(t, main.Set([]byte("k0003"), []byte("M")))
	check := func() {
		main, err := s.Fork("main")
		require.NoError(t, err)
		a, err := s.Fork("a")
		require.NoError(t, err)
		get := func(f *engine.Fork, k string) string {
			v, err := f.Get([]byte(k))
			if err != nil {
				require.ErrorIs(t, err, engine.ErrNotFound)
				return "-"
			}
			return string(v)
		}
		require.Equal(t, "v1", get(main, "k0001"))
		require.Equal(t, "A", get(a, "k0001"))
		require.Equal(t, "v2", get(main, "k0002"))
		require.Equal(t, "-", get(a, "k0002"))
		require.Equal(t, "M", get(main, "k0003"))
		require.Equal(t, "v3", get(a, "k0003"))
		n := 0
		rows, errf := a.Scan(engine.Range{})
		for range rows {
			n++
		}
		require.NoError(t, errf())
		require.Equal(t, 999, n)
	}
	check()
	require.NoError(t, s.Close())
	s, err = engine.Open(dir, nil)
	require.NoError(t, err)
	check()
	require.NoError(t, s.Flush())
	check()
	require.NoError(t, s.Compact())
	check()
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	t.Logf("%+v", s.Stats())
	require.NoError(t, s.Close())
	r, err := engine.Check(dir, engine.CheckOptions{})
	require.NoError(t, err)
	require.True(t, r.OK(), "%+v", r)
	require.Empty(t, r.Leaked)
	s, err = engine.Open(dir, nil)
	require.NoError(t, err)
	check()
	require.NoError(t, s.Close())
}
