package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// patience is how long a test waits for a process before it counts as hung.
const patience = 60 * time.Second

// served is a node in a process of its own.
type served struct {
	Listen, Admin, Pprof string
	PID                  int

	t    *testing.T
	cmd  *exec.Cmd
	log  *transcript
	done chan struct{} // closed when the process has ended
}

// transcript is what a process has written so far.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve starts a node on free ports and returns when it serves.
func serve(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	ports := []string{"--json", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--pprof", "127.0.0.1:0"}
	n := &served{t: t, log: &transcript{}, done: make(chan struct{})}
	n.cmd = command(t, in(dir, append(ports, args...)...)...)
	n.cmd.Stderr = n.log
	out, err := n.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, n.cmd.Start())
	first, rest := make(chan string, 1), bufio.NewReader(out)
	go func() {
		line, _ := rest.ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, rest)
		_ = n.cmd.Wait() // its state is asked for in end
		close(n.done)
	}()
	t.Cleanup(func() {
		_ = n.cmd.Process.Kill()
		<-n.done
		if t.Failed() {
			t.Logf("the node's log:\n%s", n.log)
		}
	})
	select {
	case line := <-first:
		require.NoError(t, json.Unmarshal([]byte(line), n), "%q, log:\n%s", line, n.log)
	case <-time.After(patience):
		require.Fail(t, "the node does not serve", n.log)
	}
	require.Equal(t, n.cmd.Process.Pid, n.PID)
	return n
}

// signal sends a signal to the process.
func (n *served) signal(s os.Signal) {
	n.t.Helper()
	require.NoError(n.t, n.cmd.Process.Signal(s))
}

// ended waits for the process and gives its exit code.
func (n *served) ended() int {
	n.t.Helper()
	select {
	case <-n.done:
	case <-time.After(patience):
		require.Fail(n.t, "the node does not end")
	}
	return n.cmd.ProcessState.ExitCode()
}

// logs waits for a line of the log with all the texts.
func (n *served) logs(texts ...string) {
	n.t.Helper()
	require.Eventually(n.t, func() bool {
		for line := range strings.Lines(n.log.String()) {
			all := true
			for _, text := range texts {
				all = all && strings.Contains(line, text)
			}
			if all {
				return true
			}
		}
		return false
	}, patience, 5*time.Millisecond, "no line of the log has %q", texts)
}

// get asks one of the administrative ports.
func (n *served) get(address, path string) (status int, body string) {
	n.t.Helper()
	r, err := http.Get("http://" + address + path)
	require.NoError(n.t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(n.t, err)
	return r.StatusCode, string(b)
}

// metric gives one line of the metrics, without its value's name.
func (n *served) metric(name string) string {
	n.t.Helper()
	_, body := n.get(n.Admin, "/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// dial connects to the service.
func (n *served) dial(o ...grpc.DialOption) *grpc.ClientConn {
	n.t.Helper()
	if len(o) == 0 {
		o = append(o, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	c, err := grpc.NewClient(n.Listen, o...)
	require.NoError(n.t, err)
	n.t.Cleanup(func() { _ = c.Close() })
	return c
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestANodeServesUntilItIsToldToEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	n := serve(t, dir)

	health, err := healthpb.NewHealthClient(n.dial()).Check(soon(t), &healthpb.HealthCheckRequest{Service: tinepb.Tine_ServiceDesc.ServiceName})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health.Status)
	for _, path := range []string{"/healthz", "/readyz"} {
		status, body := n.get(n.Admin, path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "ok\n", body)
	}
	require.Equal(t, "1", n.metric("tine_ready"))
	require.Equal(t, "2", n.metric("tine_forks"), "main, and the node's own")
	status, body := n.get(n.Pprof, "/debug/pprof/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "goroutine")
	status, _ = n.get(n.Admin, "/debug/pprof/")
	require.Equal(t, http.StatusNotFound, status, "profiles have a port of their own")

	fails(t, exitBusy, in(dir, "stats"), "another process has the store open")

	n.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, n.ended())
	for _, text := range []string{"serving", "stopping", "drained", "closed the store"} {
		n.logs(text)
	}
	ok(t, in(dir, "check")...)
	_, err = net.Dial("tcp", n.Listen)
	require.Error(t, err)
}

func TestInterruptEndsANodeToo(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--admin", "off", "--pprof", "off")
	require.Equal(t, "off", n.Admin)
	require.Equal(t, "off", n.Pprof)
	n.signal(os.Interrupt)
	require.Equal(t, exitOK, n.ended())
}

func TestAddressesAreALineOfText(t *testing.T) {
	cmd := command(t, in(filepath.Join(t.TempDir(), "store"), "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--pprof", "off")...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^serving listen=127\.0\.0\.1:\d+ admin=off pprof=off pid=\d+\n$`, line)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}

func TestANodeThatCannotServeSaysWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	busy := filepath.Join(t.TempDir(), "busy")
	serve(t, busy)
	damaged := newStore(t)
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "CURRENT"), []byte("nonsense\n"), 0o644))
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, c := range []struct {
		name string
		dir  string
		args []string
		code int
		text []string
	}{
		{"a port that is taken", "", []string{"--listen", taken.Addr().String()}, exitError, []string{"listen", "address already in use"}},
		{"a port for metrics that is taken", "", []string{"--admin", taken.Addr().String()}, exitError, []string{"admin", "address already in use"}},
		{"plaintext for others", "", []string{"--listen", "0.0.0.0:0"}, exitUsage, []string{"insecure-plaintext"}},
		{"two mistakes", "", []string{"--pprof", "0.0.0.0:0", "--tls-cert", "c"}, exitUsage, []string{"loopback", "belong together"}},
		{"a setting that is not understood", "", []string{"--config", file("conf", "lisen = x")}, exitUsage, []string{`no setting "lisen"`}},
		{"a client's flag for tokens", "", []string{"--token-file", "x"}, exitUsage, []string{"--token-file is for clients", "--tokens"}},
		{"a client's flag for TLS", "", []string{"--tls"}, exitUsage, []string{"--tls is for clients", "--tls-cert"}},
		{"a tokens file that is not there", "", []string{"--tokens", "/nowhere/tokens"}, exitError, []string{"/nowhere/tokens"}},
		{"a tokens file with a mistake", "", []string{"--tokens", file("tokens", "# x\nci\n")}, exitError, []string{"line 2"}},
		{"a certificate that is none", "", []string{"--tls-cert", file("c", "x"), "--tls-key", file("k", "x")}, exitError, []string{"certificates"}},
		{"a store that another node has", busy, nil, exitBusy, []string{"another process"}},
		{"a store that is damaged", damaged, nil, exitCorrupt, []string{"CURRENT"}},
		{"a directory with other things", t.TempDir() + "/..", nil, exitError, []string{"not a store"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.dir
			if dir == "" {
				dir = filepath.Join(t.TempDir(), "store")
			}
			args := []string{"serve", "--listen", "127.0.0.1:0", "--admin", "off", "--pprof", "off", "--log-level", "error"}
			fails(t, c.code, in(dir, append(args, c.args...)...), c.text...)
			if c.dir == "" {
				require.NoDirExists(t, dir, "nothing is made before all is well")
			}
		})
	}
	fails(t, exitUsage, []string{"serve"}, "--data", "TINE_DATA", "config file")
}

func TestSettingsComeFromEnvironmentAndFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	conf := filepath.Join(t.TempDir(), "tine.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "data = %s\nlog-format = json\nadmin = off\nlisten = 127.0.0.1:0\n", dir), 0o600))
	cmd := command(t, "--json", "serve", "--config", conf)
	cmd.Env = append(cmd.Env, "TINE_PPROF=off", "TINE_LOG_FORMAT=text")
	cmd.Stderr = &transcript{}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var where served
	require.NoError(t, json.NewDecoder(out).Decode(&where))
	require.Equal(t, "off", where.Admin, "the file")
	require.Equal(t, "off", where.Pprof, "the environment")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	require.Contains(t, fmt.Sprint(cmd.Stderr), "msg=serving", "the environment goes before the file")
	require.FileExists(t, filepath.Join(dir, "CURRENT"), "the file names the store")
}

func TestAnOpenDoorIsWarnedOf(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--listen", "0.0.0.0:0", "--insecure-plaintext", "--insecure-no-tokens")
	n.logs("level=WARN", "serving plaintext to others")
	n.logs("level=WARN", "everybody who reaches the address may do everything")
}

func TestSystemdIsToldWhenTheNodeServesAndWhenItStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(patience)))
	told := func() string {
		b := make([]byte, 100)
		n, err := socket.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
	t.Setenv("NOTIFY_SOCKET", path)
	n := serve(t, filepath.Join(t.TempDir(), "store"))
	require.Equal(t, "READY=1", told())
	n.signal(syscall.SIGTERM)
	require.Equal(t, "STOPPING=1", told())
	require.Equal(t, exitOK, n.ended())
}
