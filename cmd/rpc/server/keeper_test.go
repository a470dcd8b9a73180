package server

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestADropThatFailsDropsNothingOfTheCount(t *testing.T) {
	failed := errors.New("no")
	ok := func() error { return nil }
	count := func(n int) func() (int, error) { return func() (int, error) { return n, nil } }
	var k keeper
	there := 3
	k.leaves = func(n int) bool { return there > n }
	k.forks.Store(3)
	require.ErrorIs(t, k.drop(2, func() error { return failed }), failed)
	require.ErrorIs(t, k.drop(3, ok), engine.ErrProtected)
	require.NoError(t, k.drop(1, ok))
	there = 2
	require.ErrorIs(t, k.drop(2, ok), engine.ErrProtected)
	k.made(2)
	there = 4

	_, err := k.dropAlone(count(4), count(4))
	require.ErrorIs(t, err, engine.ErrProtected)
	_, err = k.dropAlone(count(2), func() (int, error) { return 2, failed })
	require.ErrorIs(t, err, failed)
	_, err = k.dropAlone(func() (int, error) { return 0, failed }, count(2))
	require.ErrorIs(t, err, failed)
	n, err := k.dropAlone(count(2), count(3)) // one more was made meanwhile
	require.NoError(t, err)
	require.Equal(t, 3, n)
	there = 1
	k.made(1)
	there = 2
	require.NoError(t, k.drop(1, ok))
	there = 1
	require.ErrorIs(t, k.drop(1, ok), engine.ErrProtected)
	there = 3
	require.NoError(t, k.drop(2, ok), "two were made that are not counted yet")
	there = 1
	k.made(2)
	require.ErrorIs(t, k.drop(1, ok), engine.ErrProtected)
	n, err = k.dropAlone(count(0), count(0))
	require.NoError(t, err)
	require.Zero(t, n)
}
