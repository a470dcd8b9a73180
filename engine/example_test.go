package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/tinedb/tine/engine"
)

// must ends an example on an error it does not expect.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// openTemp opens a new store in a temporary directory.
func openTemp() (s *engine.Store, done func()) {
	dir, err := os.MkdirTemp("", "tine-example-")
	must(err)
	s, err = engine.Open(dir, nil)
	must(err)
	return s, func() {
		must(s.Close())
		must(os.RemoveAll(dir))
	}
}

func mainFork(s *engine.Store) *engine.Fork {
	f, err := s.Fork(engine.MainFork)
	must(err)
	return f
}

// One base, two forks that try different things, one result kept.
func Example() {
	store, done := openTemp()
	defer done()
	base := mainFork(store)
	must(base.Set([]byte("plan"), []byte("draft")))

	a, err := base.Fork("agent-a") // O(1), durable when it returns
	must(err)
	b, err := base.Fork("agent-b")
	must(err)
	must(a.Set([]byte("plan"), []byte("tests first")))
	must(b.Delete([]byte("plan")))

	v, err := base.Get([]byte("plan"))
	must(err)
	fmt.Printf("main: %s\n", v)
	_, err = b.Get([]byte("plan"))
	fmt.Println("agent-b:", err)

	must(base.Reset(a)) // keep one result …
	must(a.Drop())      // … and discard the forks
	must(b.Drop())
	v, err = base.Get([]byte("plan"))
	must(err)
	fmt.Printf("main: %s\n", v)
	// Output:
	// main: draft
	// agent-b: key not found
	// main: tests first
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "tine-example-")
	must(err)
	defer os.RemoveAll(dir)
	store, err := engine.Open(dir, &engine.Options{CacheBytes: 64 << 20})
	must(err)
	_, err = engine.Open(dir, nil)
	fmt.Println("second open is refused:", errors.Is(err, engine.ErrLocked))
	must(store.Close())
	// Output: second open is refused: true
}

func ExampleFork_Set() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Set([]byte("durable"), []byte("1")))
	must(f.Set([]byte("fast"), []byte("2"), engine.NoSync)) // survives a kill, not a power loss …
	must(store.Sync())                                      // … until now
	v, err := f.Get([]byte("fast"))
	must(err)
	fmt.Printf("%s\n", v)
	// Output: 2
}

func ExampleFork_Delete() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Set([]byte("k"), []byte("v")))
	must(f.Delete([]byte("k")))
	_, err := f.Get([]byte("k"))
	fmt.Println(errors.Is(err, engine.ErrNotFound))
	// Output: true
}

func ExampleFork_DeleteRange() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	for _, key := range []string{"run/1", "run/2", "run/3"} {
		must(f.Set([]byte(key), nil))
	}
	old, err := f.Fork("old")
	must(err)
	must(f.DeleteRange([]byte("run/1"), []byte("run/3"))) // the end is not included
	for _, fork := range []*engine.Fork{f, old} {
		rows, failed := fork.Scan(engine.Range{})
		for key := range rows {
			fmt.Printf("%s: %s\n", fork.Name(), key)
		}
		must(failed())
	}
	// Output:
	// main: run/3
	// old: run/1
	// old: run/2
	// old: run/3
}

func ExampleFork_AppendGet() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Set([]byte("k"), []byte("value")))
	buf := make([]byte, 0, 64) // reused: no allocation for each get
	buf, err := f.AppendGet(buf[:0], []byte("k"))
	must(err)
	fmt.Printf("%s\n", buf)
	// Output: value
}

func ExampleFork_Fork() {
	store, done := openTemp()
	defer done()
	base := mainFork(store)
	must(base.Set([]byte("k"), []byte("unflushed"), engine.NoSync))
	child, err := base.Fork("child") // sees unflushed writes; nothing is copied
	must(err)
	grandchild, err := child.Fork("grandchild")
	must(err)
	must(child.Drop()) // parents may go first
	v, err := grandchild.Get([]byte("k"))
	must(err)
	fmt.Printf("%s\n", v)
	_, err = base.Fork("grandchild")
	fmt.Println(errors.Is(err, engine.ErrForkExists))
	// Output:
	// unflushed
	// true
}

func ExampleFork_Snapshot() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Set([]byte("k"), []byte("before")))
	snap, err := f.Snapshot("before-run")
	must(err)
	must(f.Set([]byte("k"), []byte("after")))
	v, err := snap.Get([]byte("k"))
	must(err)
	fmt.Printf("%s\n", v)
	must(f.Reset(snap)) // back to where it was
	v, err = f.Get([]byte("k"))
	must(err)
	fmt.Printf("%s\n", v)
	must(snap.Drop())
	// Output:
	// before
	// before
}

func ExampleSnapshot_Fork() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Set([]byte("k"), []byte("v1")))
	snap, err := f.Snapshot("v1")
	must(err)
	must(f.Set([]byte("k"), []byte("v2")))
	retry, err := snap.Fork("retry")
	must(err)
	v, err := retry.Get([]byte("k"))
	must(err)
	fmt.Printf("%s\n", v)
	// Output: v1
}

func ExampleFork_Reset() {
	store, done := openTemp()
	defer done()
	base := mainFork(store)
	must(base.Set([]byte("k"), []byte("old")))
	try, err := base.Fork("try")
	must(err)
	must(try.Set([]byte("k"), []byte("new")))
	must(base.Reset(try)) // base becomes what try is now, in O(1)
	v, err := base.Get([]byte("k"))
	must(err)
	fmt.Printf("%s\n", v)
	// Output: new
}

func ExampleFork_Rename() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Rename("trunk"))
	fmt.Println(f.Name())
	_, err := store.Fork("main")
	fmt.Println(errors.Is(err, engine.ErrForkNotFound))
	// Output:
	// trunk
	// true
}

func ExampleFork_Drop() {
	store, done := openTemp()
	defer done()
	base := mainFork(store)
	try, err := base.Fork("try")
	must(err)
	must(try.Drop())
	fmt.Println(errors.Is(try.Set([]byte("k"), nil), engine.ErrForkNotFound))
	fmt.Println(errors.Is(base.Drop(), engine.ErrProtected)) // the last fork stays
	// Output:
	// true
	// true
}

func ExampleStore_NewBatch() {
	store, done := openTemp()
	defer done()
	base := mainFork(store)
	agent, err := base.Fork("agent")
	must(err)
	b := store.NewBatch() // atomic, also over several forks
	b.Set(agent, []byte("state"), []byte("done"))
	b.Set(base, []byte("log"), []byte("agent is done"))
	b.Delete(base, []byte("todo"))
	must(b.Commit())
	v, err := base.Get([]byte("log"))
	must(err)
	fmt.Printf("%s\n", v)
	// Output: agent is done
}

func ExampleFork_NewIter() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	for _, k := range []string{"a", "b", "c", "d"} {
		must(f.Set([]byte(k), bytes.ToUpper([]byte(k)), engine.NoSync))
	}
	it, err := f.NewIter(engine.Range{Lower: []byte("b"), Upper: []byte("d")})
	must(err)
	must(f.Delete([]byte("c"))) // the iterator sees what was there when it was opened
	for it.Last(); it.Valid(); it.Prev() {
		fmt.Printf("%s=%s\n", it.Key(), it.Value())
	}
	must(it.Close())
	// Output:
	// c=C
	// b=B
}

func ExampleFork_Scan() {
	store, done := openTemp()
	defer done()
	f := mainFork(store)
	must(f.Set([]byte("x"), []byte("1")))
	must(f.Set([]byte("y"), []byte("2")))
	rows, err := f.Scan(engine.Range{})
	for k, v := range rows {
		fmt.Printf("%s=%s\n", k, v)
	}
	must(err())
	// Output:
	// x=1
	// y=2
}

func ExampleStore_Forks() {
	store, done := openTemp()
	defer done()
	base := mainFork(store)
	_, err := base.Fork("a")
	must(err)
	for _, f := range store.Forks() {
		fmt.Printf("%s from %q\n", f.Name, f.Parent)
	}
	// Output:
	// a from "main"
	// main from ""
}

func ExampleCheck() {
	dir, err := os.MkdirTemp("", "tine-example-")
	must(err)
	defer os.RemoveAll(dir)
	store, err := engine.Open(dir, nil)
	must(err)
	must(mainFork(store).Set([]byte("k"), []byte("v")))
	must(store.Flush())
	must(store.Close())
	report, err := engine.Check(dir, engine.CheckOptions{})
	must(err)
	fmt.Println(report.OK(), report.Forks, report.Rows)
	// Output: true 1 1
}
