package node

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
)

func TestTheGuideNamesEveryLimitThatMetricsName(t *testing.T) {
	text, err := os.ReadFile("../../docs/node.md")
	require.NoError(t, err)
	for _, limit := range server.EveryLimit {
		if strings.HasSuffix(string(limit), "_share") { // one line for all of these
			limit = server.Limit(strings.TrimSuffix(string(limit), "_share"))
		}
		require.Contains(t, string(text), `limit="`+string(limit)+`"`)
	}
	require.Contains(t, string(text), `limit="`+string(server.LimitScansShare)+`"`)
}
