package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCommittedCodeIsWhatTheProtoFileGenerates(t *testing.T) {
	files, err := generate(t.Context(), "../tinepb", "tine.proto")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for name, content := range files {
		committed, err := os.ReadFile(filepath.Join("../tinepb", name))
		require.NoError(t, err)
		require.True(t, string(committed) == content, "%s is not up to date: go generate ./cmd/rpc/tinepb", name)
	}
	found, err := filepath.Glob("../tinepb/*.pb.go")
	require.NoError(t, err)
	require.Len(t, found, len(files), "generated files that nothing generates any more: %v", found)
}

func TestAProtoFileWithAMistakeIsRefused(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bad.proto"), []byte(`syntax = "proto3"; message A { B b = 1; }`), 0o644))
	_, err := generate(t.Context(), folder, "bad.proto")
	require.ErrorContains(t, err, "bad.proto")
}
