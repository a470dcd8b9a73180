package schedule

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"time"
)

// goroutine is the number of the calling goroutine.
func goroutine() uint64 {
	var buf [64]byte
	id, _ := parseHeader(buf[:runtime.Stack(buf[:], false)])
	return id
}

// parseHeader reads the first line of a goroutine's stack, as in
//
//	goroutine 18 [chan receive, 2 minutes]:
func parseHeader(stack []byte) (id uint64, state string) {
	rest, ok := bytes.CutPrefix(stack, []byte("goroutine "))
	if !ok {
		return 0, ""
	}
	number, rest, _ := bytes.Cut(rest, []byte(" ["))
	id, _ = strconv.ParseUint(string(number), 10, 64)
	inside, _, _ := bytes.Cut(rest, []byte("]"))
	inside, _, _ = bytes.Cut(inside, []byte(","))
	return id, string(inside)
}

// waiting are the states in which only another goroutine, or a timer, can make a
// goroutine go on. Somebody who sleeps goes on by itself, and so does somebody in
// "semacquire": that is how a goroutine that starts the garbage collector waits
// for the end of the very stop in which its state is taken.
var waiting = map[string]bool{
	"chan receive": true, "chan send": true, "select": true,
	"sync.Cond.Wait": true, "sync.Mutex.Lock": true, "sync.RWMutex.Lock": true, "sync.RWMutex.RLock": true,
	"sync.WaitGroup.Wait": true,
}

// crowd is the goroutines that have begun since it was made.
type crowd struct {
	before map[uint64]bool
	buf    []byte
}

func newCrowd() *crowd {
	c := &crowd{before: map[uint64]bool{}, buf: make([]byte, 64<<10)}
	c.each(func(id uint64, _ string) { c.before[id] = true })
	return c
}

// each calls fn for every goroutine there is. The world is stopped while their
// states are taken, so that all are of one moment.
func (c *crowd) each(fn func(id uint64, state string)) {
	n := runtime.Stack(c.buf, true)
	for n == len(c.buf) {
		c.buf = make([]byte, 2*len(c.buf))
		n = runtime.Stack(c.buf, true)
	}
	for stack := range bytes.SplitSeq(c.buf[:n], []byte("\n\n")) {
		if id, state := parseHeader(stack); id != 0 {
			fn(id, state)
		}
	}
}

// quiet tells whether all of the crowd are waiting or gone. As somebody who is
// woken is at once no longer waiting, nothing more happens by itself then but what
// a timer does.
func (c *crowd) quiet() bool {
	me := goroutine()
	quiet := true
	c.each(func(id uint64, state string) {
		if id != me && !c.before[id] && !waiting[state] {
			quiet = false
		}
	})
	return quiet
}

// patience is the last resort: a run that takes longer hangs.
const patience = 30 * time.Second

var errHangs = fmt.Errorf("nothing happened for %v", patience)

// until waits for an event, or until nothing happens any more: then it is false.
// Without an event it waits for that alone.
func (c *crowd) until(event <-chan struct{}) (happened bool, err error) {
	begun := time.Now()
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		select {
		case <-event:
			return true, nil
		case <-time.After(pause):
		}
		if c.quiet() {
			select {
			case <-event:
				return true, nil
			default:
				return false, nil
			}
		}
		if time.Since(begun) > patience {
			return false, errHangs
		}
	}
}

// ended waits for an event that must come, if a timer has to make it come.
func ended(event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-time.After(patience):
		return errHangs
	}
}
