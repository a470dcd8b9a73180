package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestAnErrorTellsOnlyOfForksThatTheCallerMayKnow(t *testing.T) {
	bad := func(forks ...string) error {
		return fmt.Errorf("get: %w", &engine.CorruptError{File: "000007.sst", Offset: 42, Err: errors.New("checksum"), Forks: forks})
	}
	many := []string{"mine"}
	for i := range 40 {
		many = append(many, fmt.Sprint("secret-", i))
	}
	for name, err := range map[string]error{
		"one":           bad("mine", "secret"),
		"wrapped":       fmt.Errorf("scan: %w", bad("secret", "mine", "@secret")),
		"joined":        errors.Join(bad("secret-1"), errors.New("and"), bad("mine", "secret-2")),
		"wrapped twice": fmt.Errorf("%w, and %w", bad("secret-1", "mine"), bad("secret-2", "mine")),
		"many":          bad(many...),
		"none known":    bad("secret"),
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, overTheWire(err).Error(), "secret", "who may know all is told")
			back := FromStatus(ToStatusFor(err, func(name string) bool { return name == "mine" }).Err())
			require.ErrorIs(t, back, engine.ErrCorrupt)
			require.NotContains(t, fmt.Sprintf("%v %+v", back, back), "secret")
			require.Equal(t, strings.Contains(err.Error(), "mine"), strings.Contains(back.Error(), "mine"))
			require.Contains(t, back.Error(), "000007.sst at offset 42: checksum")
			var corrupt *engine.CorruptError
			require.ErrorAs(t, back, &corrupt)
			require.NotContains(t, strings.Join(corrupt.Forks, " "), "secret")
		})
	}
	require.EqualError(t, FromStatus(ToStatusFor(engine.ErrNotFound, func(string) bool { return false }).Err()), engine.ErrNotFound.Error())
}
