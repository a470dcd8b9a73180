package demo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// crashWrites is how many writes the other process gets acknowledged.
const crashWrites = 600

// crash lets another process write to the store and kill itself, and compares
// what is there afterwards with what that process had been promised.
func (d *demo) crash() error {
	if !d.opts.Crash {
		d.line("left out (--no-crash)")
		return nil
	}
	if err := d.close(); err != nil {
		return err
	}
	acks, err := d.runWriter()
	if err != nil {
		return err
	}
	d.line("another process wrote with %d goroutines, each batch into two forks at once,", writersAtOnce)
	d.line("and was killed (SIGKILL) after %s acknowledgements, in the middle of more", picture.Count(acks.count()))
	began := time.Now()
	if err := d.open(); err != nil {
		return err
	}
	recovery := time.Since(began)
	if err := d.findForks(); err != nil {
		return err
	}
	v := &verifier{}
	report, err := d.verifyAcks(v, acks)
	if err != nil {
		return err
	}
	report.RecoverySecs = recovery.Seconds()
	d.report.Crash = report
	if err := d.verifyTouched(v, d.everyone()); err != nil {
		return err
	}
	d.report.Compared += v.compared
	if err := v.err(); err != nil {
		return err
	}
	d.line("the store was opened again in %.0f ms", recovery.Seconds()*1000)
	d.line("acknowledged writes that are there: %s of %s, each in both forks; forks: %d of %d",
		picture.Count(report.Present), picture.Count(report.Acknowledged), report.Forks, len(acks.forks))
	d.line("writes that were under way: %d are there, whole and in both forks; no half ones", report.Unacknowledged)
	d.line("the other %s forks are as they were", picture.Count(len(d.agents)+1))
	return nil
}

// acks is what the other process had been promised.
type acks struct {
	puts  []string
	forks []string
}

func (a *acks) count() int { return len(a.puts) + len(a.forks) }

// runWriter starts this program again as the writer and reads its lines until it
// is dead.
func (d *demo) runWriter() (*acks, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(d.ctx, self, "--data", d.dir, WriterVerb, "--kill-after", fmt.Sprint(crashWrites))
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	got := &acks{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		what, name, _ := strings.Cut(lines.Text(), " ")
		if what == "fork" {
			got.forks = append(got.forks, name)
		} else {
			got.puts = append(got.puts, name)
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		return nil, fmt.Errorf("the writer should have been killed, but: %w: %s", errors.Join(err, d.ctx.Err()), strings.TrimSpace(stderr.String()))
	}
	if got.count() != crashWrites {
		return nil, fmt.Errorf("the writer acknowledged %d writes before its end, not %d: %w", got.count(), crashWrites, errors.Join(err, lines.Err()))
	}
	return got, lines.Err()
}

// findForks finds the forks again after the store was opened anew.
func (d *demo) findForks() error {
	for _, a := range d.everyone() {
		fork, err := d.store.Fork(a.name)
		if err != nil {
			return err
		}
		a.fork = fork
	}
	return nil
}

// verifyAcks looks for everything that was acknowledged, and at everything else
// that the process left.
func (d *demo) verifyAcks(v *verifier, promised *acks) (*CrashReport, error) {
	r := &CrashReport{Acknowledged: len(promised.puts)}
	forks := map[string]*engine.Fork{}
	for _, name := range promised.forks {
		fork, err := d.store.Fork(name)
		if err != nil {
			v.add(1, []string{fmt.Sprintf("acknowledged fork %s is lost: %v", name, err)})
			continue
		}
		r.Forks++
		forks[name] = fork
	}
	there := map[string]int{} // in how many of the two forks
	for _, name := range []string{leftFork, rightFork} {
		if forks[name] == nil {
			continue
		}
		if err := readCrashKeys(v, forks[name], there); err != nil {
			return nil, err
		}
	}
	for _, key := range promised.puts {
		if there[key] == 2 {
			r.Present++
		} else {
			v.add(1, []string{fmt.Sprintf("acknowledged write %q is in %d of 2 forks", key, there[key])})
		}
	}
	for key, n := range there {
		if n != 2 {
			v.add(1, []string{fmt.Sprintf("the batch of %q is in %d of 2 forks", key, n)})
		}
	}
	r.Unacknowledged = len(there) - r.Present
	return r, nil
}

// readCrashKeys counts the keys that the writer left in a fork, and compares their
// values.
func readCrashKeys(v *verifier, fork *engine.Fork, there map[string]int) error {
	rows, scanErr := fork.Scan(tree.PrefixRange([]byte("crash/")))
	n := 0
	var wrong []string
	for key, value := range rows {
		n++
		there[string(key)]++
		if !bytes.Equal(value, crashValue(string(key))) {
			wrong = append(wrong, fmt.Sprintf("%s: the value of %q is damaged", fork.Name(), key))
		}
	}
	v.add(n, wrong)
	return scanErr()
}
