package node

import (
	"errors"
	"sync/atomic"

	"github.com/tinedb/tine/engine"
)

// The phases of a node.
const (
	starting int32 = iota
	serving
	draining
)

var (
	errStarting = errors.New("the node is starting: the store is being opened")
	errDraining = errors.New("the node is being stopped")
)

// condition is what the node tells those who ask how it is. It may be used
// concurrently.
type condition struct {
	phase atomic.Int32
	store atomic.Pointer[engine.Store] // nil while it is not open
}

// ready says why calls should not be sent here now, nil if they should.
func (c *condition) ready() error {
	switch c.phase.Load() {
	case starting:
		return errStarting
	case draining:
		return errDraining
	}
	if s := c.store.Load(); s != nil {
		return s.Health()
	}
	return errDraining
}

// alive says why the process should be started anew, nil while that would not help. A
// full or failed disk is no reason: reads go on, and a restart would end these too. A
// store that contradicts itself is one: what is on disk is as it was before.
func (c *condition) alive() error {
	if s := c.store.Load(); s != nil && c.phase.Load() == serving {
		if err := s.Health(); errors.Is(err, engine.ErrBroken) {
			return err
		}
	}
	return nil
}
