package client

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// About says which node this is and what it accepts.
func (c *Client) About(ctx context.Context) (about *tinepb.AboutResponse, err error) {
	err = c.do(ctx, repeatable, "about", func(ctx context.Context) (err error) {
		about, err = c.node.About(ctx, &tinepb.AboutRequest{})
		return err
	})
	return about, err
}

// Sync makes every write that was acknowledged so far durable.
func (c *Client) Sync(ctx context.Context) error {
	return c.do(ctx, repeatable, "sync", func(ctx context.Context) error {
		_, err := c.node.Sync(ctx, &tinepb.SyncRequest{})
		return err
	})
}

// Flush writes everything that is in memory to tables.
func (c *Client) Flush(ctx context.Context) error {
	return c.do(ctx, repeatable, "flush", func(ctx context.Context) error {
		_, err := c.node.Flush(ctx, &tinepb.FlushRequest{})
		return err
	})
}

// Compact merges until there is nothing left to merge.
func (c *Client) Compact(ctx context.Context) error {
	return c.do(ctx, repeatable, "compact", func(ctx context.Context) error {
		_, err := c.node.Compact(ctx, &tinepb.CompactRequest{})
		return err
	})
}

// Settle waits until the background work has nothing left to do, or for a while.
func (c *Client) Settle(ctx context.Context) error {
	return c.do(ctx, repeatable, "settle", func(ctx context.Context) error {
		_, err := c.node.Settle(ctx, &tinepb.SettleRequest{})
		return err
	})
}

// DrawTree writes the tree of nodes as text.
func (c *Client) DrawTree(ctx context.Context, w io.Writer) error {
	return c.do(ctx, once, "tree", func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.node.Tree(ctx, &tinepb.TreeRequest{})
		if err != nil {
			return err
		}
		for {
			answer, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, answer.GetText()); err != nil {
				return err
			}
		}
	})
}

// Stats gives the figures of the node's engine.
func (c *Client) Stats(ctx context.Context) (stats engine.Stats, err error) {
	err = c.do(ctx, repeatable, "stats", func(ctx context.Context) error {
		answer, err := c.node.Stats(ctx, &tinepb.StatsRequest{})
		if err == nil {
			stats = statsOf(answer)
		}
		return err
	})
	return stats, err
}

// statsOf gives each figure of the engine the message's value of that name. One that
// the node does not send stays 0.
func statsOf(m *tinepb.StatsResponse) (out engine.Stats) {
	from, to := reflect.ValueOf(m).Elem(), reflect.ValueOf(&out).Elem()
	for i := range to.NumField() {
		name := to.Type().Field(i).Name
		v := from.FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, name) })
		switch field := to.Field(i); {
		case !v.IsValid():
		case field.CanInt() && v.CanInt():
			field.SetInt(v.Int())
		case field.CanUint() && v.CanUint():
			field.SetUint(v.Uint())
		}
	}
	return out
}
