package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/tinedb/tine/cmd/rpc/auth"
	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
)

// Output is where a node tells what it does.
type Output struct {
	Addresses io.Writer // one line, once it serves
	JSON      bool      // that line is a JSON object
	Log       io.Writer
	Version   string
}

// node is a node that runs. Run owns it.
type node struct {
	c   *Config
	o   Output
	log *slog.Logger

	condition condition
	tokens    *auth.Tokens // nil: everybody
	certs     *certificates
	metrics   *nodeMetrics

	listen, admin, pprof net.Listener // the last two may be nil
	store                *engine.Store
	server               *server.Server
	hangup               chan os.Signal
	failed               chan error     // a port that does not answer any more
	ports                []*http.Server // of admin and pprof
	wg                   sync.WaitGroup
}

// Run serves the store until ctx ends, then drains and closes it. It returns nil if it
// was told to end and the store could be closed. The settings must be valid.
func Run(ctx context.Context, c *Config, o Output) (err error) {
	n := &node{c: c, o: o, log: newLogger(c, o.Log), failed: make(chan error, 3)}
	defer n.catchHangup()()
	defer n.wg.Wait()
	defer func() { err = errors.Join(err, n.closePorts()) }()
	if err := n.prepare(); err != nil {
		return err
	}
	if err := n.openPorts(); err != nil {
		return err
	}
	if err := n.openStore(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeStore()) }()
	if ctx.Err() != nil {
		n.log.Info("stopping", "reason", "signal, before it served")
		return nil
	}
	if err := n.serve(); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	n.watch(watching)

	select {
	case <-ctx.Done():
		n.log.Info("stopping", "reason", "signal")
	case err = <-n.failed:
		n.log.Error("stopping", "reason", err)
	}
	n.drain()
	return err
}

// prepare loads what can be wrong without a store.
func (n *node) prepare() (err error) {
	if n.c.Tokens != "" {
		if n.tokens, err = auth.Load(n.c.Tokens); err != nil {
			return err
		}
		if n.tokens.Status().Entries == 0 {
			n.log.Warn("the tokens file has no entries: nobody can call", "file", n.c.Tokens)
		}
	}
	if n.certs, err = loadCertificates(n.c); err != nil {
		return err
	}
	n.metrics = newNodeMetrics(n)
	return nil
}

// openPorts listens on all addresses, and begins to answer on those that are about the
// node. Clients of the service wait until it begins.
func (n *node) openPorts() (err error) {
	listen := func(what, address string) net.Listener {
		if err != nil || address == off {
			return nil
		}
		l, failed := net.Listen("tcp", address)
		if failed != nil {
			err = fmt.Errorf("%s: %w", what, failed)
			return nil
		}
		return l
	}
	n.listen = listen("listen", n.c.Listen)
	n.admin = listen("admin", n.c.Admin)
	n.pprof = listen("pprof", n.c.Pprof)
	if err != nil {
		return err
	}
	if n.admin != nil {
		n.answer("admin", n.admin, adminServer(&n.condition, n.metrics.registry, n.log))
	}
	if n.pprof != nil {
		n.answer("pprof", n.pprof, profileServer(n.log))
	}
	return nil
}

func (n *node) answer(what string, l net.Listener, s *http.Server) {
	n.ports = append(n.ports, s)
	n.wg.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

func (n *node) closePorts() error {
	for _, l := range []net.Listener{n.listen, n.admin, n.pprof} {
		if l != nil {
			_ = l.Close() // it may be closed already
		}
	}
	for _, s := range n.ports {
		_ = s.Close()
	}
	return nil
}

func (n *node) openStore() error {
	begun := time.Now()
	n.log.Info("opening the store", "data", n.c.Data)
	store, err := engine.Open(n.c.Data, n.c.engineOptions(n.log))
	if err != nil {
		return err
	}
	n.store = store
	n.condition.store.Store(store)
	s := store.Stats()
	n.log.Info("opened the store", "took", time.Since(begun), "forks", s.Forks, "snapshots", s.Snapshots,
		"table_bytes", s.TableBytes, "log_bytes", s.WALBytes, "last_lsn", s.LastLSN)
	return nil
}

func (n *node) closeStore() error {
	begun := time.Now()
	n.condition.store.Store(nil)
	if err := n.store.Close(); err != nil {
		n.log.Error("the store could not be closed in order", "error", err)
		return err
	}
	n.log.Info("closed the store", "took", time.Since(begun))
	return nil
}

// serve begins the service, and says so.
func (n *node) serve() error {
	o := server.Options{
		Auth: auth.NewAuthorizer(n.tokens), Limits: n.c.limits(), Logger: n.log, Observer: n.metrics.calls, Version: n.o.Version,
	}
	if n.certs != nil {
		o.TLS = n.certs.config()
	}
	var err error
	if n.server, err = server.New(n.store, o); err != nil {
		return err
	}
	n.metrics.server.Store(n.server)
	n.wg.Go(func() {
		if err := n.server.Serve(n.listen); err != nil {
			n.failed <- fmt.Errorf("listen: %w", err)
		}
	})
	n.server.SetReady(true)
	n.condition.phase.Store(serving)
	n.sayHowItIsSecured()
	n.log.Info("serving", "listen", address(n.listen), "admin", address(n.admin), "pprof", address(n.pprof), "pid", os.Getpid())
	if err := n.printAddresses(); err != nil {
		return errors.Join(err, n.stopServer(context.Background(), 0))
	}
	n.tell("READY=1")
	return nil
}

func (n *node) sayHowItIsSecured() {
	inside, _ := loopback(n.c.Listen)
	if n.certs == nil && !inside {
		n.log.Warn("serving plaintext to others: whoever listens sees every token and every row", "listen", address(n.listen))
	}
	switch {
	case n.tokens == nil && n.certs != nil && n.c.TLSClientCA != "":
		n.log.Info("no tokens file: everybody with a client certificate may do everything")
	case n.tokens == nil:
		n.log.Warn("no tokens file: everybody who reaches the address may do everything", "listen", address(n.listen))
	}
	if n.admin != nil {
		if inside, _ := loopback(n.c.Admin); !inside {
			n.log.Warn("others reach the admin port: metrics and health, in plaintext", "admin", address(n.admin))
		}
	}
}

// printAddresses prints where the node is, for whoever started it, who may have asked
// for any free port.
func (n *node) printAddresses() error {
	where := struct {
		Listen string `json:"listen"`
		Admin  string `json:"admin"`
		Pprof  string `json:"pprof"`
		PID    int    `json:"pid"`
	}{address(n.listen), address(n.admin), address(n.pprof), os.Getpid()}
	if n.o.JSON {
		return json.NewEncoder(n.o.Addresses).Encode(where)
	}
	_, err := fmt.Fprintf(n.o.Addresses, "serving listen=%s admin=%s pprof=%s pid=%d\n", where.Listen, where.Admin, where.Pprof, where.PID)
	return err
}

func address(l net.Listener) string {
	if l == nil {
		return off
	}
	return l.Addr().String()
}

// tell tells systemd, if it listens.
func (n *node) tell(state string) {
	if err := notify(state); err != nil {
		n.log.Warn("systemd could not be told", "state", state, "error", err)
	}
}
