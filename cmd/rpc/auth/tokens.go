package auth

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Why somebody is not let in. They are for the log of the node: a caller is told no
// more than that.
var (
	// ErrMissing: neither a token nor a certificate that the file names.
	ErrMissing = errors.New("no credentials")
	// ErrUnknown: a token that the file does not have.
	ErrUnknown = errors.New("unknown token")
	// ErrExpired: a token, or certificate, whose time is over.
	ErrExpired = errors.New("expired")
)

// Tokens is a file of entries, loaded. It may be used concurrently.
//
// Invariant: table is replaced whole and never changed, so a call meets one state of
// the file.
type Tokens struct {
	path  string
	table atomic.Pointer[table]

	mu       sync.Mutex // one load at a time
	read     identity   // of the file that is in force; none once a load has failed, so that each look tries again
	failure  string     // of the last load, as it was told; "" if it succeeded
	failures atomic.Uint64
	loads    atomic.Uint64
}

// table is one state of the file.
type table struct {
	byName        map[string]*Principal
	byCertificate map[string]*Principal
	loaded        time.Time
}

// identity is what tells that a file has been replaced or changed, or its mode.
type identity struct {
	info fs.FileInfo
}

func (i identity) same(other fs.FileInfo) bool {
	return i.info != nil && os.SameFile(i.info, other) && i.info.Size() == other.Size() && i.info.Mode() == other.Mode() && i.info.ModTime().Equal(other.ModTime())
}

// Load reads a file. What is wrong with it is an error that names its line.
func Load(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// Reload reads the file again. If that fails, what was loaded before stays in force.
func (t *Tokens) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.load()
	t.told(err)
	return err
}

// ReloadIfChanged reads the file again if it has been replaced or changed since it was
// loaded, or could not be loaded then: what was wrong may be mended without a trace on
// the file itself. It tells whether there is news: a load, or another failure than the
// last.
func (t *Tokens) ReloadIfChanged() (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	if err == nil && t.read.same(info) {
		return false, nil
	}
	err = t.load()
	if err != nil && err.Error() == t.failure {
		return false, nil
	}
	t.told(err)
	return true, err
}

// told counts a load, and keeps what was wrong with it.
func (t *Tokens) told(err error) {
	if err != nil {
		t.failure = err.Error()
		t.failures.Add(1)
		return
	}
	t.failure = ""
	t.loads.Add(1)
}

func (t *Tokens) load() error {
	t.read = identity{}
	info, err := t.replace()
	if err != nil {
		return fmt.Errorf("tokens file %s: %w", t.path, err)
	}
	t.read = identity{info}
	return nil
}

// replace puts what the file holds into force, and says which file that was.
func (t *Tokens) replace() (fs.FileInfo, error) {
	f, err := os.Open(t.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("others than its owner may write to it (mode %v): chmod go-w", info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxFileBytes)
	}
	entries, err := Parse(string(text))
	if err != nil {
		return nil, err
	}
	t.table.Store(newTable(entries))
	return info, nil
}

func newTable(entries []Entry) *table {
	now := &table{byName: map[string]*Principal{}, byCertificate: map[string]*Principal{}, loaded: time.Now()}
	for _, e := range entries {
		p := &Principal{entry: e}
		now.byName[e.Name] = p
		if e.Certificate != "" {
			now.byCertificate[e.Certificate] = p
		}
	}
	return now
}

// nobody is compared with where there is no entry, so that a name that does not exist
// takes as long as one that does.
var nobody Hash

// ByToken finds whose token it is. The comparison takes the same time however much of
// it is right.
func (t *Tokens) ByToken(token string, now time.Time) (*Principal, error) {
	if len(token) > MaxTokenBytes {
		return nil, ErrUnknown
	}
	p := t.table.Load().byName[nameIn(token)]
	want := &nobody
	if p != nil && p.entry.Hash != nil {
		want = p.entry.Hash
	}
	got := HashToken(token)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || want == &nobody {
		return nil, ErrUnknown
	}
	return p.unlessExpired(now)
}

// ByCertificate finds who has a client certificate with that common name, which TLS
// has verified.
func (t *Tokens) ByCertificate(commonName string, now time.Time) (*Principal, error) {
	p := t.table.Load().byCertificate[commonName]
	if p == nil {
		return nil, ErrMissing
	}
	return p.unlessExpired(now)
}

// Entries gives what is in force, by name.
func (t *Tokens) Entries() []Entry {
	var entries []Entry
	for _, p := range t.table.Load().byName {
		entries = append(entries, p.entry)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries
}

// Status is what an operator wants to know of the file.
type Status struct {
	Entries, Expired int
	Loads, Failures  uint64
	Loaded           time.Time // when the table in force was read
}

// Status gives the present figures.
func (t *Tokens) Status() Status {
	now := t.table.Load()
	s := Status{Entries: len(now.byName), Loads: t.loads.Load(), Failures: t.failures.Load(), Loaded: now.loaded}
	for _, p := range now.byName {
		if _, err := p.unlessExpired(time.Now()); err != nil {
			s.Expired++
		}
	}
	return s
}
