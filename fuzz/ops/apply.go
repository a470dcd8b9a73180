package ops

import "github.com/tinedb/tine/fuzz/model"

// Apply gives the state after a mutating operation, or the error with which the
// store must refuse it. Other operations leave the state as it is.
func Apply(s model.State, op Op) (model.State, error) {
	switch op.Kind {
	case Put:
		return s.Put(op.Fork, op.Key, Value(op.Fork, op.N, op.Key, op.Size))
	case Delete:
		return s.Delete(op.Fork, op.Key)
	case DeleteRange:
		return s.DeleteRange(op.Fork, op.Range)
	case Batch:
		return applyBatch(s, op)
	case Fork:
		return s.Fork(op.Fork, op.Name)
	case ForkSnapshot:
		return s.ForkSnapshot(op.Fork, op.Name)
	case Snapshot:
		return s.Snapshot(op.Fork, op.Name)
	case RenameSnapshot:
		return s.RenameSnapshot(op.Fork, op.Name)
	case DropSnapshot:
		return s.DropSnapshot(op.Fork)
	case Drop:
		return s.Drop(op.Fork)
	case ForkMany:
		return s.ForkMany(op.Fork, op.Names)
	case ForkManySnap:
		return s.ForkManySnapshot(op.Fork, op.Names)
	case DropMany:
		return s.DropMany(op.Names)
	case DropPrefix:
		return dropAll(s, s.WithPrefix(op.Name))
	case DropSubtree:
		return dropAll(s, s.Subtree(op.Fork))
	case Rename:
		return s.Rename(op.Fork, op.Name)
	case Reset:
		return s.Reset(op.Fork, op.Name)
	case ResetSnapshot:
		return s.ResetToSnapshot(op.Fork, op.Name)
	}
	return s, nil
}

// dropAll drops forks that were looked for; that none was found is refused.
func dropAll(s model.State, names []string) (model.State, error) {
	if len(names) == 0 {
		return s, model.ErrForkNotFound
	}
	return s.DropMany(names)
}

// applyBatch does all writes of a batch or none. The forks are looked for before
// anything is written, as a caller must who holds no handles.
func applyBatch(s model.State, op Op) (model.State, error) {
	for _, w := range op.Writes {
		if _, ok := s.Forks.Get(w.Fork); !ok {
			return s, model.ErrForkNotFound
		}
	}
	next := s
	for i, w := range op.Writes {
		var err error
		switch {
		case w.Range != nil:
			next, err = next.DeleteRange(w.Fork, *w.Range)
		case w.Delete:
			next, err = next.Delete(w.Fork, w.Key)
		default:
			next, err = next.Put(w.Fork, w.Key, w.Value(op, i))
		}
		if err != nil {
			return s, err
		}
	}
	return next, nil
}

// Value is what the i-th write of a batch writes. The place in the batch is part
// of the name of the fork in it, so that two writes of one key differ.
func (w Write) Value(op Op, i int) string {
	return Value(w.Fork+"#"+string(rune('a'+i%26)), op.N, w.Key, w.Size)
}
