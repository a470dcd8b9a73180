package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// errNoRedis says that there is no redis-server to compare with.
var errNoRedis = errors.New("redis-server is not installed")

// redisServer is a process of redis-server over a temporary directory, with its
// append-only file.
type redisServer struct {
	cmd   *exec.Cmd
	dir   string
	addr  string
	fsync string // what appendfsync is set to
}

// startRedis starts one on a port of loopback that is free, and gives it rows.
func startRedis(dir, fsync string, rows int) (_ *redisServer, err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return nil, err
	}
	r := &redisServer{dir: dir, addr: addr.String(), fsync: fsync}
	r.cmd = exec.Command(program, "--port", strconv.Itoa(addr.Port), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", fsync, "--daemonize", "no")
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	var c *redisClient
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err = r.dial(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
	return r, errors.Join(c.fill(rows), c.close())
}

func (r *redisServer) settings() string {
	return "appendonly yes, appendfsync " + r.fsync + ", no snapshots; all other settings at their defaults"
}

func (r *redisServer) name() string { return "redis" }

func (r *redisServer) connect() (rpcClient, error) { return r.dial() }

// stop kills the process, whose data nobody wants.
func (r *redisServer) stop() error {
	if err := r.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = r.cmd.Wait() // says that it was killed
	return os.RemoveAll(r.dir)
}

// redisClient speaks the protocol's few words that are needed.
type redisClient struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func (r *redisServer) dial() (*redisClient, error) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		return nil, err
	}
	return &redisClient{conn: conn, in: bufio.NewReader(conn)}, nil
}

// fill sets rows, many at once on their way.
func (c *redisClient) fill(rows int) error {
	const atOnce = 1000
	for from := 0; from < rows; from += atOnce {
		to := min(from+atOnce, rows)
		c.out = c.out[:0]
		for i := from; i < to; i++ {
			c.add("SET", key(nil, i), newRow(nil, i, 0))
		}
		if _, err := c.conn.Write(c.out); err != nil {
			return err
		}
		for range to - from {
			if _, err := c.answer(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *redisClient) get(_ context.Context, key []byte) ([]byte, error) { return c.do("GET", key) }

func (c *redisClient) set(_ context.Context, key, value []byte, _ bool) error {
	_, err := c.do("SET", key, value)
	return err
}

func (c *redisClient) close() error { return c.conn.Close() }

func (c *redisClient) do(verb string, args ...[]byte) ([]byte, error) {
	c.out = c.out[:0]
	c.add(verb, args...)
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, err
	}
	return c.answer()
}

func (c *redisClient) add(verb string, args ...[]byte) {
	c.out = fmt.Appendf(c.out, "*%d\r\n$%d\r\n%s\r\n", len(args)+1, len(verb), verb)
	for _, a := range args {
		c.out = fmt.Appendf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
}

// answer reads a simple string or a value.
func (c *redisClient) answer() ([]byte, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	rest := line[1 : len(line)-2]
	switch line[0] {
	case '+':
		return nil, nil
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("redis-server answers %q", line)
		}
		v := make([]byte, n+2)
		_, err = io.ReadFull(c.in, v)
		return v[:n], err
	}
	return nil, fmt.Errorf("redis-server answers %q", line)
}
