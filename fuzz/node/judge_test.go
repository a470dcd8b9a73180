package node

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// world is a state with main, and with what else is given by place.
func world(contents map[int]content) *state {
	s := new(state)
	s.put(0, content{})
	for place, c := range contents {
		s.put(place, c)
	}
	return s
}

func set(place, key int, m mark) change { return change{place, key, key + 1, m} }

// The judge must find each of these lies: an oracle that believes everything would
// pass all other tests.
func TestTheJudgeFindsLies(t *testing.T) {
	ok, refused, lost := answer{outcome: done}, answer{outcome: missing}, answer{outcome: unknown}
	both := write{[]change{set(0, 0, 1), set(0, 1, 2)}}
	saw := func(c content) answer { return answer{contents: c} }
	whole := read{0, 0, keys}
	type op = porcupine.Operation
	at := func(from, to int64, c call, a answer) op { return op{Input: c, Call: from, Output: a, Return: to} }
	for _, c := range []struct {
		name  string
		calls []op
		right bool
	}{
		{"a batch is there once it is acknowledged", []op{at(0, 1, both, ok), at(2, 3, whole, saw(content{1, 2}))}, true},
		{"an acknowledged batch is lost", []op{at(0, 1, both, ok), at(2, 3, whole, saw(content{}))}, false},
		{"half of a batch is there", []op{at(0, 1, both, lost), at(2, 3, whole, saw(content{1}))}, false},
		{"a batch without an answer is there", []op{at(0, 1, both, lost), at(2, 3, whole, saw(content{1, 2}))}, true},
		{"a batch without an answer is not there", []op{at(0, 1, both, lost), at(2, 3, whole, saw(content{}))}, true},
		{"a batch without an answer comes after the kill", []op{
			at(0, 1, both, lost), at(2, 3, whole, saw(content{})), at(4, 5, whole, saw(content{1, 2}))}, false},
		{"a batch is applied twice", []op{
			at(0, 9, both, ok), at(1, 2, whole, saw(content{1, 2})), at(3, 4, write{[]change{set(0, 0, 7)}}, ok),
			at(5, 6, whole, saw(content{7, 2})), at(10, 11, whole, saw(content{1, 2}))}, false},
		{"a fork falls between the halves of a batch", []op{
			at(0, 9, both, ok), at(1, 8, fork{0, []int{1}}, ok), at(10, 11, look{}, answer{world: world(map[int]content{0: {1, 2}, 1: {1}})})}, false},
		{"a fork falls before a batch", []op{
			at(0, 9, both, ok), at(1, 8, fork{0, []int{1}}, ok), at(10, 11, look{}, answer{world: world(map[int]content{0: {1, 2}, 1: {}})})}, true},
		{"a fork sees what its parent got later", []op{
			at(0, 1, fork{0, []int{1}}, ok), at(2, 3, both, ok), at(4, 5, read{1, 0, 1}, saw(content{1}))}, false},
		{"one of two forks of one moment is another", []op{
			at(0, 9, both, ok), at(1, 8, fork{0, []int{1, 2}}, ok),
			at(10, 11, look{}, answer{world: world(map[int]content{0: {1, 2}, 1: {}, 2: {1, 2}})})}, false},
		{"a dropped fork is there again", []op{
			at(0, 1, fork{0, []int{1}}, ok), at(2, 3, drop{[]int{1}}, ok), at(4, 5, list{}, answer{places: 3})}, false},
		{"a fork is refused that is there", []op{at(0, 1, fork{0, []int{1}}, ok), at(2, 3, read{1, 0, 1}, refused)}, false},
		{"a write is done in a fork that is not there", []op{at(0, 1, write{[]change{set(1, 0, 1)}}, ok)}, false},
		{"a name is said to be taken that is not", []op{at(0, 1, fork{0, []int{1}}, answer{outcome: exists})}, false},
		{"a range delete leaves a row", []op{
			at(0, 1, both, ok), at(2, 3, write{[]change{{0, 0, keys, 0}}}, ok), at(4, 5, whole, saw(content{0, 2}))}, false},
		{"a snapshot follows its fork", []op{
			at(0, 1, fork{0, []int{forkPlaces}}, ok), at(2, 3, both, ok), at(4, 5, read{forkPlaces, 0, 1}, saw(content{1}))}, false},
		{"a reset fork keeps what it had", []op{
			at(0, 1, fork{0, []int{1}}, ok), at(2, 3, both, ok), at(4, 5, reset{0, 1}, ok), at(6, 7, whole, saw(content{1, 2}))}, false},
		{"a renamed fork is under both names", []op{
			at(0, 1, fork{0, []int{1}}, ok), at(2, 3, rename{1, 2}, ok), at(4, 5, list{}, answer{places: 7})}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := judge(*world(nil), c.calls)
			if c.right {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "no order of")
			}
		})
	}
}

// Calls that all overlap may have come in any order, and no order explains the last one.
func TestTheJudgeGivesUpBeforeItHasUsedAllMemory(t *testing.T) {
	var calls []porcupine.Operation
	for i := range 24 {
		calls = append(calls, porcupine.Operation{
			ClientId: i, Input: write{[]change{set(0, i%keys, mark(i+1))}}, Call: 0, Output: answer{outcome: done}, Return: 100})
	}
	calls = append(calls, porcupine.Operation{ClientId: 99, Input: read{0, 0, keys}, Call: 200, Output: answer{}, Return: 201})
	require.ErrorIs(t, judge(*world(nil), calls), errUndecided)
}

func TestAValueThatAnotherCallOrKeyWroteIsNotTakenForIt(t *testing.T) {
	m, err := markOf(valueOf(77, 3), 3)
	require.NoError(t, err)
	require.EqualValues(t, 77, m)
	_, err = markOf(valueOf(77, 3), 2)
	require.Error(t, err)
	for i := range valueOf(77, 3) {
		changed := valueOf(77, 3)
		changed[i] ^= 1
		_, err = markOf(changed, 3)
		require.Error(t, err, i)
	}
}
