package sstable

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator/itertest"
)

// A disk that fails once must not make a table unreadable for good.
func TestAFailedOpeningIsTriedAgain(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 1, rows)
	tables := NewTables(fsys, "db", NewCache(1), 4)
	fsys.failRead = errors.New("the disk is away")
	for range 2 {
		_, err := tables.Reader(&metas[0])
		require.ErrorIs(t, err, fsys.failRead)
	}
	fsys.failRead = nil
	r, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	require.NoError(t, readAll(r, rows))
	require.NoError(t, tables.Close())
}
