package fuzz

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tinedb/tine/fuzz/ops"
)

// Failure is a list of operations on which store and model part, and all that is
// needed to look for the reason. It is what trials that are about lists return.
type Failure struct {
	Name string // of the run: lower case, with hyphens
	List []ops.Op
	Err  error // what went wrong with List

	// Again does another list in the same way; nil if that would say nothing.
	Again func(list []ops.Op) error
}

// Error says what went wrong, not with which list.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Name, f.Err) }

// Unwrap gives what went wrong.
func (f *Failure) Unwrap() error { return f.Err }

// Shrunk gives a shorter list that fails too, as far as one is found in the time
// given. A list that does not fail again, as happens with background work, is
// given back as it is.
func (f *Failure) Shrunk(within time.Duration) *Failure {
	if f.Again == nil {
		return f
	}
	deadline := time.Now().Add(within)
	small := *f
	if small.Err = f.Again(f.List); small.Err == nil {
		return f
	}
	small.List = ops.Shrink(f.List, 3000, func(candidate []ops.Op) bool {
		if time.Now().After(deadline) {
			return false
		}
		err := f.Again(candidate)
		if err != nil {
			small.Err = err
		}
		return err != nil
	})
	return &small
}

// Save writes the list to a file in dir, after what went wrong as comments. Put
// it into testdata/ops, and it is replayed for ever.
func (f *Failure) Save(dir string) (file string, err error) {
	var text bytes.Buffer
	for _, line := range bytes.Split([]byte(f.Error()), []byte("\n")) {
		fmt.Fprintf(&text, "# %s\n", line)
	}
	if err := ops.Format(&text, f.List); err != nil {
		return "", err
	}
	file = filepath.Join(dir, "tine-"+f.Name+".txt")
	return file, os.WriteFile(file, text.Bytes(), 0o644)
}

// shrinks tells whether a list that fails is to be cut down. TINE_SHRINK=0 says
// that nobody will look at it.
func shrinks() bool { return os.Getenv("TINE_SHRINK") != "0" }

// Text gives the list, or how long it is if it is long.
func (f *Failure) Text() string {
	list := f.List
	if len(list) > 60 {
		return fmt.Sprintf("(%d operations)\n", len(list))
	}
	var text bytes.Buffer
	if err := ops.Format(&text, list); err != nil {
		return err.Error()
	}
	return text.String()
}
