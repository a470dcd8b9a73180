package ops

import (
	"slices"

	"github.com/tinedb/tine/fuzz/model"
)

// Shrink gives a list as short as it finds for which fails still tells true. It
// tries at most tries lists. fails must tell true for list itself.
//
// It leaves out stretches, of half the list first and of single operations
// last, and then makes the batches, values, ranges and walks that remain smaller.
func Shrink(list []Op, tries int, fails func([]Op) bool) []Op {
	attempt := func(candidate []Op) bool {
		if tries <= 0 {
			return false
		}
		tries--
		return fails(candidate)
	}
	for stretch := len(list) / 2; stretch > 0; {
		shorter := false
		for at := 0; at < len(list); {
			end := min(at+stretch, len(list))
			candidate := append(append([]Op{}, list[:at]...), list[end:]...)
			if attempt(candidate) {
				list, shorter = candidate, true
			} else {
				at = end
			}
		}
		if !shorter || stretch > 1 {
			stretch /= 2
		}
	}
	for i := range list {
		for w := 0; w < len(list[i].Writes) && len(list[i].Writes) > 1; {
			smaller := list[i]
			smaller.Writes = append(append([]Write{}, smaller.Writes[:w]...), smaller.Writes[w+1:]...)
			if !replaceIf(list, i, smaller, attempt) {
				w++
			}
		}
		for n := 0; n < len(list[i].Names) && len(list[i].Names) > 1; {
			smaller := list[i]
			smaller.Names = append(append([]string{}, smaller.Names[:n]...), smaller.Names[n+1:]...)
			if !replaceIf(list, i, smaller, attempt) {
				n++
			}
		}
		for list[i].Size > 1 {
			smaller := list[i]
			smaller.Size /= 2
			if !replaceIf(list, i, smaller, attempt) {
				break
			}
		}
		for list[i].Steps > 1 {
			smaller := list[i]
			smaller.Steps /= 2
			if !replaceIf(list, i, smaller, attempt) {
				break
			}
		}
		narrow(list, i, attempt)
	}
	return list
}

// narrow makes the ranges that operation i deletes smaller: bounds that are open
// come to lie at keys of the list, and each is moved towards the other.
func narrow(list []Op, i int, attempt func([]Op) bool) {
	if list[i].Kind == DeleteRange {
		narrowRange(keysOf(list), list[i].Range, func(r model.Range) bool {
			smaller := list[i]
			smaller.Range = r
			return replaceIf(list, i, smaller, attempt)
		})
	}
	for w := range list[i].Writes {
		if r := list[i].Writes[w].Range; r != nil {
			narrowRange(keysOf(list), *r, func(r model.Range) bool {
				smaller := list[i]
				smaller.Writes = slices.Clone(smaller.Writes)
				smaller.Writes[w].Range = &r
				return replaceIf(list, i, smaller, attempt)
			})
		}
	}
}

// narrowRange offers smaller ranges, and goes on with those that are taken.
func narrowRange(keys []string, r model.Range, take func(model.Range) bool) {
	within := func(r model.Range) (from, to int) {
		from, to = 0, len(keys)
		if r.Lower != nil {
			from, _ = slices.BinarySearch(keys, *r.Lower)
		}
		if r.Upper != nil {
			to, _ = slices.BinarySearch(keys, *r.Upper)
		}
		return from, to
	}
	for step := len(keys); step > 0; {
		from, to := within(r)
		smaller := false
		for _, candidate := range []model.Range{
			{Lower: keyAt(keys, from+step), Upper: r.Upper}, {Lower: r.Lower, Upper: keyAt(keys, to-step)},
		} {
			if f, t := within(candidate); f < t && (f != from || t != to) && take(candidate) {
				r, smaller = candidate, true
				break
			}
		}
		if !smaller {
			step /= 2
		}
	}
	from, to := within(r)
	for _, candidate := range []model.Range{{Lower: keyAt(keys, from), Upper: r.Upper}, {Lower: keyAt(keys, from), Upper: keyAt(keys, to)}} {
		if (r.Lower == nil || r.Upper == nil) && candidate.Lower != nil && candidate.Upper != nil && take(candidate) {
			return
		}
	}
}

func keyAt(keys []string, i int) *string {
	if i < 0 || i >= len(keys) {
		return nil
	}
	return Bound(keys[i])
}

// keysOf gives the keys that a list writes, sorted.
func keysOf(list []Op) []string {
	var keys []string
	for _, op := range list {
		keys = append(keys, op.Key)
		for _, w := range op.Writes {
			keys = append(keys, w.Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// replaceIf puts op at place i of list if the list still fails with it.
func replaceIf(list []Op, i int, op Op, fails func([]Op) bool) bool {
	candidate := append([]Op{}, list...)
	candidate[i] = op
	if !fails(candidate) {
		return false
	}
	list[i] = op
	return true
}
