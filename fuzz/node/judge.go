package node

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// model is the world as porcupine asks for it, from a state on that is known.
func model(begin state) porcupine.Model {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{begin} },
		Step: func(s, input, output any) []any {
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

// judgeTime ends a search that finds neither an order nor that there is none. It is
// far above what any search has taken.
const judgeTime = 5 * time.Minute

// judge tells whether there is an order of the calls that explains the answers. What
// it cannot decide is an error too.
func judge(begin state, history []porcupine.Operation) error {
	m := model(begin)
	result, info := porcupine.CheckOperationsVerbose(m, history, judgeTime)
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
