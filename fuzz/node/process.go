package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long anything that is certain to happen may take before it counts
// as hanging.
const patience = 2 * time.Minute

// build makes the tine binary in a directory, and gives its path. The race detector
// is in it if it is in this program.
func build(dir string) (string, error) {
	binary := filepath.Join(dir, "tine")
	args := []string{"build", "-o", binary}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/tinedb/tine/cmd/tine")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build tine: %w\n%s", err, out)
	}
	return binary, nil
}

// A process is a running storage node. It is killed by its own id, and by nothing
// else.
type process struct {
	cmd     *exec.Cmd
	address string
	dead    chan struct{} // closed when it has ended and can do no more
	ended   error         // how; once dead is closed

	log    bytes.Buffer // what it has said; once dead is closed
	output sync.WaitGroup
}

// spawn starts a node on a directory with little memory, so that tables are written
// and merged all the time. It does not wait until it serves.
func spawn(binary, dir string, more ...string) (p *process, serving <-chan string, err error) {
	p = &process{dead: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin", "off", "--pprof", "off", "--json",
		"--memtable-bytes", "128KiB", "--cache-bytes", "1MiB", "--log-level", "warn"}, more...)...)
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	p.cmd.Stderr = &p.log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, err
	}
	lines := make(chan string, 1)
	p.output.Go(func() {
		defer close(lines)
		scanner := bufio.NewScanner(stdout)
		for first := true; scanner.Scan(); first = false {
			if first {
				lines <- scanner.Text()
			}
		}
	})
	go func() {
		p.output.Wait()
		p.ended = p.cmd.Wait()
		close(p.dead)
	}()
	return p, lines, nil
}

// start starts a node and waits until it serves.
func start(binary, dir string, more ...string) (*process, error) {
	p, serving, err := spawn(binary, dir, more...)
	if err != nil {
		return nil, err
	}
	select {
	case line, ok := <-serving:
		var where struct {
			Listen string `json:"listen"`
		}
		if !ok {
			<-p.dead
			return nil, fmt.Errorf("the node ended before it served: %v\n%s", p.ended, p.log.Bytes())
		}
		if err := json.Unmarshal([]byte(line), &where); err != nil || where.Listen == "" {
			p.kill()
			return nil, fmt.Errorf("the node said %q when it began to serve: %v", line, err)
		}
		p.address = where.Listen
		return p, nil
	case <-time.After(patience):
		p.kill()
		return nil, fmt.Errorf("the node does not begin to serve\n%s", p.log.Bytes())
	}
}

// kill ends the process at once, and returns when it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself; whoever waits learns how
	<-p.dead
}

// killed tells whether the end of the process was a kill, and not its own fault.
func (p *process) killed() bool {
	var exit *exec.ExitError
	if !errors.As(p.ended, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// peakMemory is the most resident memory that the process has had, in bytes; 0 where
// the system does not tell.
func (p *process) peakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmHWM in %q", status)
}

// stop ends the process gently.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the node: %w", err)
	}
	select {
	case <-p.dead:
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("the node does not stop\n%s", p.log.Bytes())
	}
	if p.ended != nil {
		return fmt.Errorf("the node was stopped and ended with: %w\n%s", p.ended, p.log.Bytes())
	}
	return nil
}
