package manifest

// maxMarksBytes of marks go into one transaction, or one vector if that alone is
// longer. Nothing else in a transaction grows with what a store holds, but one flush
// of a range delete can mark every table there is.
const maxMarksBytes = 16 << 20

// split gives the transactions that t is logged as. It is t alone, unless its marks
// are longer than limitBytes: then all but the last of them stand before it, in
// transactions of their own. A crash in between leaves marks that do no harm, see
// Marks. What t drops comes last, so a vector that t adds to and drops is gone at the
// end either way. Cost: O(marks in t). t is not changed.
func (t *Transaction) split(limitBytes int) []*Transaction {
	var parts []*Transaction
	begin, partBytes := 0, 0
	for i := range t.AddMarks {
		editBytes := t.AddMarks[i].editBytes()
		if i > begin && partBytes+editBytes > limitBytes {
			parts = append(parts, &Transaction{AddMarks: t.AddMarks[begin:i:i]})
			begin, partBytes = i, 0
		}
		partBytes += editBytes
	}
	if begin == 0 {
		return []*Transaction{t}
	}
	rest := *t
	rest.AddMarks = t.AddMarks[begin:]
	return append(parts, &rest)
}
