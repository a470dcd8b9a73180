package fuzz

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/ops"
)

// What a script of a fuzz target may hold, so that one takes milliseconds.
const (
	scriptBytes = 4000
	scriptOps   = 60
	scriptValue = 3000
	scriptSteps = 40
)

// fuzzConfigs are configurations that do the same each time.
func fuzzConfigs() []Config {
	return append(Configs()[:3:3], CrashConfig())
}

// withinBounds gives the operations of a text that the model has an answer to:
// names and ranges that the engine refuses by themselves, and sizes that only
// cost time, have tests of their own.
func withinBounds(text []byte) []ops.Op {
	if len(text) > scriptBytes {
		return nil
	}
	list, err := ops.Parse(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	var kept []ops.Op
	held := map[int]bool{}
	name := func(n string) bool { return engine.CheckName(n) == nil }
	for _, op := range list {
		op.N = len(kept)
		op.Size, op.Steps = min(op.Size, scriptValue), min(op.Steps, scriptSteps)
		ok := (op.Fork == "" || name(op.Fork)) && (op.Name == "" || name(op.Name))
		ok = ok && (op.Kind == ops.DeleteRange || op.Range.Lower == nil || op.Range.Upper == nil || *op.Range.Lower <= *op.Range.Upper)
		for _, n := range op.Names {
			ok = ok && name(n)
		}
		for i := range op.Writes {
			op.Writes[i].Size = min(op.Writes[i].Size, scriptValue)
			ok = ok && name(op.Writes[i].Fork)
		}
		switch op.Kind {
		case ops.OpenIter:
			ok = ok && !held[op.Iter]
			held[op.Iter] = held[op.Iter] || ok
		case ops.CloseIter:
			delete(held, op.Iter)
		case ops.Reopen:
			clear(held)
		}
		if ok {
			kept = append(kept, op)
		}
		if len(kept) == scriptOps {
			break
		}
	}
	return kept
}

// FuzzScript does a script to a store and to the model, in one of several
// configurations, and at the end compares everything, closes and checks.
func FuzzScript(f *testing.F) {
	saved, err := os.ReadFile("testdata/ops/parent-dropped-first.txt")
	require.NoError(f, err)
	for config := range uint8(len(fuzzConfigs())) {
		f.Add(config, saved)
		for seed := range uint64(2) {
			for _, profile := range []ops.Profile{ops.Crashing(), ops.Merging(), ops.Reading()} {
				profile.Chain = 4
				var text bytes.Buffer
				require.NoError(f, ops.Format(&text, ops.NewGenerator(uint64(config)*10+seed, profile).List(24)))
				f.Add(config, text.Bytes())
			}
		}
	}
	configs := fuzzConfigs()
	f.Fuzz(func(t *testing.T, config uint8, text []byte) {
		if list := withinBounds(text); len(list) > 0 {
			require.NoError(t, runList(list, configs[int(config)%len(configs)], NewCounts()))
		}
	})
}
