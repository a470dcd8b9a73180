package node

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
)

// model is the world as porcupine asks for it, from a state on that is known. When as
// many steps have been asked for as left says, no call can follow any more: the search
// ends without an order, and left is below 0.
func model(begin state, left *atomic.Int64) porcupine.Model {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{begin} },
		Step: func(s, input, output any) []any {
			if left.Add(-1) < 0 {
				return nil
			}
			a := output.(answer)
			now := s.(state)
			if a.outcome != unknown {
				next, ok := input.(call).after(now, a)
				if !ok {
					return nil
				}
				return []any{next}
			}
			// It may have happened or not, and not only because of the kill: what cannot be
			// done in this state has changed nothing.
			a.outcome = done
			if next, ok := input.(call).after(now, a); ok && next != now {
				return []any{now, next}
			}
			return []any{now}
		},
		Hash: func(s any) uint64 {
			now := s.(state)
			h := now.alive
			for alive := now.alive; alive != 0; alive &= alive - 1 {
				for _, m := range now.contents[bits.TrailingZeros64(alive)] {
					h = (h ^ uint64(m)) * 0x9E3779B97F4A7C15
				}
			}
			return h
		},
		DescribeOperation: func(input, output any) string { return describe(input.(call), output.(answer)) },
		DescribeState:     func(s any) string { return fmt.Sprint(s) },
	}
	return nondeterministic.ToModel()
}

// judgeSteps ends a search that finds neither an order nor that there is none: porcupine
// keeps each state that it has met, of which a million are 2 GB. Half of all searches take
// less than 600 steps; where clients waited for a processor for long, within their calls,
// so many orders are possible that no bound would do.
const judgeSteps = 500_000

// errUndecided says that a search was given up.
var errUndecided = errors.New("neither an order of all calls was found nor that there is none")

// judge tells whether there is an order of the calls that explains the answers.
// errUndecided says that it does not know.
func judge(begin state, history []porcupine.Operation) error {
	var left atomic.Int64
	left.Store(judgeSteps)
	m := model(begin, &left)
	result, info := porcupine.CheckOperationsVerbose(m, history, 0)
	if result != porcupine.Ok && left.Load() < 0 {
		return errUndecided
	}
	left.Store(math.MaxInt64)
	if result == porcupine.Ok {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "no order of %d calls explains their answers (%v)\n", len(history), result)
	explained := map[int]bool{}
	now := m.Init()
	for _, i := range longest(info) {
		explained[i] = true
		_, now = m.Step(now, history[i].Input, history[i].Output)
	}
	fmt.Fprintf(&text, "the longest order that explains some leaves %v\nand none of these can be the next:\n", now)
	for i, op := range history {
		if !explained[i] {
			fmt.Fprintln(&text, " ", line(op))
		}
	}
	var all strings.Builder
	all.WriteString(text.String())
	fmt.Fprintf(&all, "it began with %v\n", begin)
	for _, op := range history {
		fmt.Fprintln(&all, line(op))
	}
	return &lie{text.String(), all.String()}
}

// A lie is a history that no order explains.
type lie struct {
	what string
	all  string // the whole history, a line a call
}

func (l *lie) Error() string { return l.what }

// longest gives the numbers of the calls in the longest order that porcupine has found.
func longest(info porcupine.LinearizationInfo) []int {
	var best []int
	for _, orders := range info.PartialLinearizations() {
		for _, order := range orders {
			if len(order) > len(best) {
				best = order
			}
		}
	}
	return best
}

func line(op porcupine.Operation) string {
	return fmt.Sprintf("%d %9d..%9d %s", op.ClientId, op.Call, op.Return, describe(op.Input.(call), op.Output.(answer)))
}
