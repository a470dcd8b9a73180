package node

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// lookEvery is how often files and the store's health are looked at.
const lookEvery = time.Second

// catchHangup has SIGHUP mean "load again" for as long as the node runs: also while it
// opens the store or drains, when there is nothing to load, the signal must not end it.
func (n *node) catchHangup() (stop func()) {
	n.hangup = make(chan os.Signal, 1)
	signal.Notify(n.hangup, syscall.SIGHUP)
	return func() { signal.Stop(n.hangup) }
}

// watch looks after a node that serves, until ctx ends: it loads tokens and certificates
// again on SIGHUP or when their files have changed, and notes when the store stops
// taking writes.
func (n *node) watch(ctx context.Context) {
	n.wg.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		var ill error
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.hangup:
				n.reload()
			case <-tick.C:
				n.reloadIfChanged()
				ill = n.lookAtHealth(ill)
			}
		}
	})
}

// reload loads tokens and certificates. What cannot be loaded stays as it was.
func (n *node) reload() {
	n.log.Info("reloading", "reason", "SIGHUP")
	if n.tokens != nil {
		n.reloaded("tokens", n.tokens.Reload())
	}
	if n.certs != nil {
		n.reloaded("certificates", n.certs.reload())
	}
}

func (n *node) reloadIfChanged() {
	if n.tokens != nil {
		if changed, err := n.tokens.ReloadIfChanged(); changed {
			n.reloaded("tokens", err)
		}
	}
	if n.certs != nil {
		if changed, err := n.certs.reloadIfChanged(); changed {
			n.reloaded("certificates", err)
		}
	}
}

func (n *node) reloaded(what string, err error) {
	if err != nil {
		n.log.Error("reload failed: what was loaded before stays in force", "what", what, "error", err)
		return
	}
	n.log.Info("reloaded", "what", what)
}

// lookAtHealth notes a change for the worse in the log, and tells those who ask for
// health on the service itself. before is what it was; a store does not recover.
func (n *node) lookAtHealth(before error) error {
	err := n.store.Health()
	if err != nil && before == nil {
		n.log.Error("the store takes no writes any more; reads go on until it is restarted", "error", err)
		n.server.SetReady(false)
	}
	return err
}
