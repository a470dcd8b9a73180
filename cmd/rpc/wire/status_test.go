package wire

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

func overTheWire(err error) error { return FromStatus(ToStatus(err).Err()) }

func TestEveryKindOfErrorComesBackAsItself(t *testing.T) {
	for _, m := range meanings {
		err := fmt.Errorf("write to fork a: %w", m.value)
		back := overTheWire(err)
		require.ErrorIs(t, back, m.value)
		require.EqualError(t, back, err.Error())
		require.Equal(t, m.code, status.Code(ToStatus(err).Err()))
		for _, other := range meanings {
			if other.kind != m.kind {
				require.NotErrorIs(t, back, other.value, "%v must not come back as %v", m.value, other.value)
			}
		}
		require.Equal(t, ToStatus(err).Proto().String(), ToStatus(back).Proto().String(), "it travels a second time as the first")
	}
}

// A value that is added to the engine must get a kind, and a kind a value.
func TestEveryErrorValueOfTheEngineHasAKind(t *testing.T) {
	sources, err := filepath.Glob("../../../engine/*.go")
	require.NoError(t, err)
	var values int
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") && name.IsExported() {
						values++
					}
				}
			}
		}
	}
	ofEngine := make(map[error]bool)
	for _, m := range meanings {
		if m.kind < tinepb.Error_INTERNAL {
			require.False(t, ofEngine[m.value], "%v has two kinds", m.value)
			ofEngine[m.value] = true
		}
	}
	require.Equal(t, values, len(ofEngine), "the engine has error values without a kind")
	for number, name := range tinepb.Error_Kind_name {
		if number != 0 {
			_, known := byKind[tinepb.Error_Kind(number)]
			require.True(t, known, "kind %s has no value", name)
		}
	}
}

func TestAnErrorOfSeveralKindsKeepsThemAll(t *testing.T) {
	err := fmt.Errorf("commit: %w", errors.Join(engine.ErrPoisoned, engine.ErrIndeterminate))
	back := overTheWire(err)
	require.ErrorIs(t, back, engine.ErrPoisoned)
	require.ErrorIs(t, back, engine.ErrIndeterminate)
	require.Equal(t, codes.Unknown, status.Code(ToStatus(err).Err()), "that the outcome is unknown comes before why")
}

func TestBadBytesComeBackWithTheirPlace(t *testing.T) {
	var forks []string
	for i := range 1000 {
		forks = append(forks, fmt.Sprintf("f%d", i))
	}
	err := fmt.Errorf("get: %w", &engine.CorruptError{File: "000007.sst", Offset: 42, Err: errors.New("checksum"), Forks: forks})
	back := overTheWire(err)
	require.ErrorIs(t, back, engine.ErrCorrupt)
	var corrupt *engine.CorruptError
	require.ErrorAs(t, back, &corrupt)
	require.Equal(t, "000007.sst", corrupt.File)
	require.EqualValues(t, 42, corrupt.Offset)
	require.Len(t, corrupt.Forks, maxForks, "a status must fit into a header")
	require.NotErrorIs(t, overTheWire(engine.ErrNotFound), engine.ErrCorrupt)
	require.False(t, errors.As(overTheWire(engine.ErrNotFound), &corrupt))
}

func TestAnOverloadedNodeSaysWhenToTryAgain(t *testing.T) {
	back := overTheWire(fmt.Errorf("write: %w", Overloadf(1500*time.Millisecond, "%d requests", 7)))
	require.ErrorIs(t, back, ErrOverloaded)
	after, ok := RetryAfter(back)
	require.True(t, ok)
	require.Equal(t, 1500*time.Millisecond, after)
	_, ok = RetryAfter(overTheWire(engine.ErrNoSpace))
	require.False(t, ok, "a full disk has the same code and is no overload")
}

func TestAnErrorWithoutAKindStaysAnError(t *testing.T) {
	back := overTheWire(errors.New("something \xff else"))
	require.EqualError(t, back, "something ? else")
	require.ErrorIs(t, back, ErrInternal)

	for _, code := range []codes.Code{codes.Unavailable, codes.Aborted, codes.Unknown, codes.DataLoss} {
		back = FromStatus(status.Error(code, "from a proxy"))
		require.EqualError(t, back, "from a proxy")
		for _, m := range meanings {
			require.NotErrorIs(t, back, m.value)
		}
	}
	detailed, err := status.New(codes.NotFound, "no").WithDetails(&tinepb.Error{Kind: 9999, Message: "from the future"})
	require.NoError(t, err)
	require.EqualError(t, FromStatus(detailed.Err()), "from the future")
	require.Equal(t, codes.Unknown, status.Code(errors.New("plain")))
	require.EqualError(t, FromStatus(errors.New("not a status")), "not a status")
}

func TestWhatTheLibraryEndsACallWithIsKnown(t *testing.T) {
	require.ErrorIs(t, FromStatus(status.Error(codes.DeadlineExceeded, "late")), context.DeadlineExceeded)
	require.ErrorIs(t, FromStatus(status.Error(codes.Canceled, "gone")), context.Canceled)
	require.ErrorIs(t, FromStatus(status.Error(codes.ResourceExhausted, "received message larger than max")), ErrNodeLimit)
	require.NoError(t, FromStatus(nil))
	require.Equal(t, codes.OK, ToStatus(nil).Code())
}

func TestALongTextIsCut(t *testing.T) {
	s := ToStatus(errors.New(strings.Repeat("ü", 5000)))
	require.LessOrEqual(t, len(s.Message()), maxText)
	require.True(t, strings.HasSuffix(s.Message(), "..."))
}
