package ops

// Shrink gives a list as short as it finds for which fails still tells true. It
// tries at most tries lists. fails must tell true for list itself.
//
// It leaves out stretches, of half the list first and of single operations
// last, and then makes the batches and values that remain smaller.
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
		for list[i].Size > 1 {
			smaller := list[i]
			smaller.Size /= 2
			if !replaceIf(list, i, smaller, attempt) {
				break
			}
		}
	}
	return list
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
