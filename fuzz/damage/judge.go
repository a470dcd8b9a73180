package damage

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"runtime/debug"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// verdict is what one case came to, and the way there.
type verdict struct {
	s      *Specimen
	c      Case
	n      uint64 // the case's number: what not all cases go through is chosen by it
	counts *fuzz.Counts

	floor   int
	report  *engine.CheckReport // of the damaged store; nil if the check refused
	old     bool                // an older manifest is in force, and names tables that are gone
	earlier bool                // the end of the log is lost, or perhaps of the manifest: who reads what is not known
	found   bool                // the check found something that is not right
}

// Judge damages the store and is nil if every answer it then gives is the right
// one, or an error that says where the damage is and whom it hits.
func (s *Specimen) Judge(c Case, n uint64, counts *fuzz.Counts) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil {
			err = fmt.Errorf("%s store, %s, %s: %w", s.Name, c.Damage, c.Where, err)
		}
	}()
	v := &verdict{s: s, c: c, n: n, counts: counts, floor: s.floor(c)}
	fs := s.damaged(c)
	if err := v.check(fs); err != nil {
		return err
	}
	if n%4 == 0 {
		if err := v.readOnly(fs.AfterKill()); err != nil {
			return fmt.Errorf("read-only: %w", err)
		}
	}
	outcome, err := v.open(fs)
	if err != nil {
		return err
	}
	counts.Add("cases", 1)
	counts.Add("damage: "+c.Damage, 1)
	counts.Add(kindOf(c.Target)+": "+outcome, 1)
	return nil
}

// check runs the store's own check, which must change nothing. What it says is
// compared with what the store then does.
func (v *verdict) check(fs *crashfs.FS) error {
	before := fs.Mutations()
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: v.level(), FS: fs})
	switch {
	case err != nil:
		return fmt.Errorf("check was not possible: %w", err)
	case fs.Mutations() != before:
		return errors.New("check has changed the store")
	case fs.OpenFiles() != 0:
		return fmt.Errorf("check leaves %d files open", fs.OpenFiles())
	}
	v.report, v.found = report, !report.OK()
	for _, p := range report.Problems {
		if err := v.finds(p); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		v.old = v.old || v.oldNames(p.File) // no read need meet it: all its rows may be dead
	}
	for _, name := range report.Missing {
		if _, touched := v.c.Files[name]; !touched && !v.oldNames(name) {
			return fmt.Errorf("check misses %s, which is there", name)
		}
		v.old = v.old || v.oldNames(name)
	}
	return nil
}

// finds judges one problem that the check reports. If a log or manifest is
// damaged, it says what it can say by itself of all other files; if only tables
// are, it must not blame anything else and must name those who read it.
func (v *verdict) finds(p engine.Problem) error {
	if slices.ContainsFunc(v.c.names(), func(name string) bool { return kindOf(name) != "table" }) {
		return nil
	}
	text := fmt.Errorf("%s at %d: %s (forks %v)", p.File, p.Offset, p.Text, p.Forks)
	after, touched := v.c.Files[p.File]
	if !touched {
		return fmt.Errorf("%v is damaged, and another file is blamed: %w", v.c.names(), text)
	}
	if v.s.blames(p.Forks, p.File, p.Offset) {
		return nil
	}
	if p.Offset < 0 || p.Offset >= int64(len(after)) { // a whole table is meant, and it is not there
		for at := range int64(len(v.s.files[p.File])) {
			if v.s.blames(p.Forks, p.File, at) {
				return nil
			}
		}
	}
	return fmt.Errorf("the forks hit are %v: %w", v.s.hit(p.File, p.Offset), text)
}

// level is full, or deep, which must find no less.
func (v *verdict) level() engine.CheckLevel {
	if v.n%8 == 3 {
		return engine.CheckDeep
	}
	return engine.CheckFull
}

// readOnly opens the damaged store for reading; that must change nothing.
func (v *verdict) readOnly(fs *crashfs.FS) error {
	o := v.s.options
	o.FS, o.ReadOnly = fs, true
	before := fs.Mutations()
	store, err := engine.Open(storeDir, &o)
	if err != nil {
		err = v.refused(err)
	} else {
		_, _, err = v.read(store)
		err = errors.Join(err, store.Close())
	}
	switch {
	case err != nil:
		return err
	case fs.Mutations() != before:
		return errors.New("the store was changed")
	case fs.OpenFiles() != 0:
		return fmt.Errorf("%d files are left open", fs.OpenFiles())
	}
	v.counts.Add("read-only opens", 1)
	return nil
}

// open opens the damaged store for writing, reads all of it, for some cases goes
// on with it, and closes it. Then the bytes are repaired, and it must be whole.
func (v *verdict) open(fs *crashfs.FS) (outcome string, err error) {
	o := v.s.options
	o.FS = fs
	before := fs.Mutations()
	store, err := engine.Open(storeDir, &o)
	if err != nil {
		if err := v.refused(err); err != nil {
			return "", err
		}
		if fs.OpenFiles() != 0 {
			return "", fmt.Errorf("a refused open leaves %d files open", fs.OpenFiles())
		}
		if fs.Mutations() != before {
			v.counts.Add("refused opens that had begun to write", 1)
			v.repair(fs, func(string) bool { return true })
			if err := v.s.reopens(fs, len(v.s.states)-1); err != nil {
				return "", fmt.Errorf("the damage was repaired after a refused open: %w", err)
			}
		}
		return "refused at open", nil
	}
	states, failed, err := v.read(store)
	var after []map[string]*expected
	for _, k := range states {
		after = append(after, v.s.want(k))
	}
	if err == nil && v.n%8 == 1 {
		after, err = v.goOn(store, states, failed)
	}
	closeErr := store.Close()
	switch {
	case err != nil:
		return "", err
	case closeErr != nil && !errors.Is(closeErr, engine.ErrCorrupt):
		return "", fmt.Errorf("close: %w", closeErr)
	case fs.OpenFiles() != 0:
		return "", fmt.Errorf("%d files are left open", fs.OpenFiles())
	}
	if (failed > 0 || v.n%8 == 1) && !v.old {
		if err := v.whole(fs, after); err != nil {
			return "", fmt.Errorf("after the damage was repaired: %w", err)
		}
	}
	switch {
	case failed > 0:
		return "error at read", nil
	case states[0] < len(v.s.states)-1:
		return v.lost(states[0]), nil
	case v.found:
		return "harmless, yet found by check", nil
	}
	return "harmless", nil
}

// read reads everything. One state of the specimen's, the same for all forks and
// snapshots, must explain all answers; failed is how many of them gave an error.
// Because of errors several states may do, the newest comes first.
func (v *verdict) read(store *engine.Store) (states []int, failed int, err error) {
	readings, err := v.s.readAll(store, v.n%2 == 0)
	if err != nil {
		return nil, 0, err
	}
	all := len(v.s.states) - 1
	if states, err = v.explain(readings, all); err != nil {
		return nil, 0, err
	}
	v.earlier = states[len(states)-1] < all || v.manifestToo()
	for _, r := range readings {
		errs := r.failures()
		if len(errs) == 0 {
			continue
		}
		failed++
		if !v.earlier && !v.s.prints[r.who].touched(v.s.files, v.c) && !v.mentionsOld(errs[0]) {
			return nil, 0, fmt.Errorf("%s is not read through a damaged byte and fails: %w", r.who, errs[0])
		}
		for _, err := range errs {
			if err := v.blames(err, r.who); err != nil {
				return nil, 0, err
			}
		}
	}
	if failed > 0 {
		v.counts.Add("forks and snapshots that fail to read", failed)
		v.counts.Add("forks and snapshots beside them that read", len(readings)-failed)
	}
	if failed > 0 && !v.found {
		return nil, 0, errors.New("check finds nothing, and reads fail")
	}
	return states, failed, nil
}

// lost words that the store came back without its last operations, which the
// floor allows.
func (v *verdict) lost(k int) string {
	if v.s.syncedBehind(k) {
		v.counts.Add("synced operations lost: "+v.c.Damage, 1)
	}
	if !v.report.TornLog && !v.found {
		v.counts.Add("operations lost, and no trace of it: "+v.c.Damage, 1)
	}
	if v.s.vouched(v.c) {
		return "end of the log lost with the marks that vouched for it"
	}
	return "end of the log lost that no mark vouched for"
}

// explain gives the numbers of operations after which the store would answer so.
func (v *verdict) explain(readings []*reading, all int) (states []int, err error) {
	for k := all; k >= v.floor; k-- {
		if mismatch(readings, v.s.want(k), v.s.keys) == "" {
			states = append(states, k)
		}
	}
	if len(states) > 0 {
		return states, nil
	}
	text := mismatch(readings, v.s.want(all), v.s.keys)
	for k := v.floor - 1; k >= 0; k-- {
		if mismatch(readings, v.s.want(k), v.s.keys) == "" {
			text += fmt.Sprintf("; it is the state after %d of %d operations, at least %d must be there", k, all, v.floor)
			break
		}
	}
	return nil, fmt.Errorf("wrong data (check finds damage: %v): %s", v.found, text)
}

// refused judges the error of an open.
func (v *verdict) refused(err error) error {
	var corrupt *engine.CorruptError
	if !errors.As(err, &corrupt) {
		return fmt.Errorf("open fails, and does not say that anything is damaged: %w", err)
	}
	if kindOf(corrupt.File) == "table" && !v.oldNames(corrupt.File) {
		return fmt.Errorf("one table is damaged, and the whole store is refused: %w", err)
	}
	if !v.found {
		return fmt.Errorf("check finds nothing, and the open is refused: %w", err)
	}
	return v.names(corrupt)
}

// blames judges an error of a read: it must name the damaged file, a place in
// it, and all whom it hits.
func (v *verdict) blames(err error, who string) error {
	var corrupt *engine.CorruptError
	if !errors.As(err, &corrupt) {
		return fmt.Errorf("%s fails, and does not say that anything is damaged: %w", who, err)
	}
	if !slices.Contains(corrupt.Forks, who) {
		return fmt.Errorf("%s is hit, and the error does not name it: %w", who, err)
	}
	return v.names(corrupt)
}

// together are names of things that several files make up.
var together = []string{"the log", "the log and the manifest", "*.wal"}

// names judges which file, place and forks an error is about.
func (v *verdict) names(e *engine.CorruptError) error {
	if v.oldNames(e.File) {
		return nil
	}
	_, touched := v.c.Files[e.File]
	if !touched && !v.related(e.File) {
		return fmt.Errorf("%v is damaged, and the error blames another file: %w", v.c.names(), e)
	}
	size := max(len(v.s.files[e.File]), len(v.c.Files[e.File]))
	if e.Offset < -1 || e.Offset > int64(size) {
		return fmt.Errorf("the file has %d bytes: %w", size, e)
	}
	if kindOf(e.File) != "table" || v.earlier {
		return nil
	}
	if e.Offset < 0 { // no place: it may be about one table of several in the file
		for _, who := range e.Forks {
			if !v.s.paths[who].covers(e.File, -1) {
				return fmt.Errorf("%s has no table of the file below it: %w", who, e)
			}
		}
		return nil
	}
	if !v.s.blames(e.Forks, e.File, e.Offset) {
		return fmt.Errorf("the forks hit are %v: %w", v.s.hit(e.File, e.Offset), e)
	}
	return nil
}

// oldNames tells whether a file is one that no longer is, or not yet, and that
// only an older manifest would name: damage may bring one back.
func (v *verdict) oldNames(file string) bool {
	if _, exists := v.s.files[file]; exists || kindOf(file) != "table" {
		return false
	}
	return slices.ContainsFunc(v.c.names(), func(name string) bool { return kindOf(name) == "manifest" || kindOf(name) == "CURRENT" })
}

// manifestToo tells whether tables are damaged and the manifest as well. If that
// lost its end, the same rows are read from other tables.
func (v *verdict) manifestToo() bool {
	kinds := map[string]bool{}
	for _, name := range v.c.names() {
		kinds[kindOf(name)] = true
	}
	return kinds["table"] && (kinds["manifest"] || kinds["CURRENT"])
}

func (v *verdict) mentionsOld(err error) bool {
	var corrupt *engine.CorruptError
	if !errors.As(err, &corrupt) || !v.oldNames(corrupt.File) {
		return false
	}
	v.old = true
	v.counts.Add("reads through tables that an older manifest brought back", 1)
	return true
}

// related tells whether damage to the case's files may show in another one: what
// CURRENT names may be missing, and logs are judged by their neighbours.
func (v *verdict) related(file string) bool {
	if slices.Contains(together, file) {
		return true
	}
	for _, name := range v.c.names() {
		switch a, b := kindOf(name), kindOf(file); {
		case a == b && len(v.c.Files) > 0 && a == "segment":
			return true
		case a == "CURRENT" && b == "manifest", a == "manifest" && b != "table":
			return true
		}
	}
	return false
}

// goOn writes to a fork, flushes and compacts on top of the damage. All may be
// refused, and the state is then the one it was; nothing else may go wrong.
func (v *verdict) goOn(store *engine.Store, states []int, failed int) (after []map[string]*expected, err error) {
	state := v.s.states[states[0]]
	at := int(v.n/8) % state.Forks.Len()
	name, _ := state.Forks.At(at)
	op := ops.Op{N: 5000, Kind: ops.Put, Fork: name, Key: "k2", Size: 60}
	f, err := store.Fork(name)
	if err != nil {
		return nil, err
	}
	if err := f.Set([]byte(op.Key), []byte(ops.Value(op.Fork, op.N, op.Key, op.Size))); err != nil {
		return nil, fmt.Errorf("a write after damage: %w", err)
	}
	for _, k := range states {
		next, _ := ops.Apply(v.s.states[k], op)
		after = append(after, expectState(next))
	}
	for _, job := range []struct {
		what string
		do   func() error
	}{{"flush", store.Flush}, {"compact", store.Compact}} {
		what, err := job.what, job.do()
		if err == nil {
			continue
		}
		if failed == 0 && !v.hidden(err) {
			return nil, fmt.Errorf("%s after damage that no read met: %w", what, err)
		}
		if !errors.Is(err, engine.ErrCorrupt) {
			return nil, fmt.Errorf("%s fails, and does not say that anything is damaged: %w", what, err)
		}
		v.counts.Add(what+" refused for damage", 1)
	}
	v.counts.Add("stores that were written to after damage", 1)
	return after, nil
}

// hidden tells whether a job's error is about damage that reads need not meet, in rows
// that everybody above the table has deleted: a merge reads what was deleted above it.
func (v *verdict) hidden(err error) bool {
	var corrupt *engine.CorruptError
	if !errors.As(err, &corrupt) || !v.found {
		return false
	}
	if _, touched := v.c.Files[corrupt.File]; !touched && !v.oldNames(corrupt.File) {
		return false
	}
	v.counts.Add("jobs that met damage behind deletes", 1)
	return true
}

// repair puts the undamaged bytes back where the damage still is.
func (v *verdict) repair(fs *crashfs.FS, repairs func(kind string) bool) {
	for name, damaged := range v.c.Files {
		if !repairs(kindOf(name)) {
			continue
		}
		now, err := fs.ReadFile(path.Join(storeDir, name))
		if gone := err != nil; gone && damaged == nil || !gone && bytes.Equal(now, damaged) {
			if original, exists := v.s.files[name]; exists {
				put(fs, name, original)
			}
		}
	}
}

// whole repairs the tables and demands that the store is then whole and sound.
func (v *verdict) whole(fs *crashfs.FS, after []map[string]*expected) error {
	v.repair(fs, func(kind string) bool { return kind == "table" })
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckFull, FS: fs})
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("check: problems %v, missing %v", report.Problems, report.Missing)
	}
	o := v.s.options
	o.FS = fs
	store, err := engine.Open(storeDir, &o)
	if err != nil {
		return err
	}
	err = v.s.holds(store, after...)
	if err == nil {
		err = store.Verify()
	}
	v.counts.Add("stores repaired or reopened, and whole", 1)
	return errors.Join(err, store.Close())
}
