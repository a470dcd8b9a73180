package node

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drain ends the service: no call begins any more, and those that run get some time to
// end. A further signal ends the waiting; it counts from before the log says that the
// node drains.
func (n *node) drain() {
	again, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n.condition.phase.Store(draining)
	n.tell("STOPPING=1")
	begun := time.Now()
	load := n.server.Load()
	n.log.Info("draining", "calls", load.InFlight, "connections", load.Connections, "timeout", n.c.DrainTimeout)
	if err := n.stopServer(again, n.c.DrainTimeout); err != nil {
		n.log.Warn("calls were broken off", "reason", err, "took", time.Since(begun))
		return
	}
	n.log.Info("drained", "took", time.Since(begun))
}

func (n *node) stopServer(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return n.server.Shutdown(ctx)
}
