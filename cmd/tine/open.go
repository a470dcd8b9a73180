package main

import (
	"errors"
	"net"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/engine"
)

// access is how a verb opens the store.
type access uint8

const (
	reading   access = iota // read-only; the store must be there
	writing                 // the store must be there
	creating                // a new store is made in an empty or missing directory
	importing               // likewise, and much will be written
)

// isRemote tells whether the store is a node's. What a flag says goes before the
// environment.
func (a *app) isRemote() (bool, error) {
	data, addr := a.flags.Changed("data"), a.flags.Changed("addr")
	switch {
	case data && addr:
		return false, usagef("--data and --addr: choose one")
	case data || addr:
		return addr, nil
	case a.data != "" && a.node.addr != "":
		return false, usagef("TINE_DATA and TINE_ADDR are both set: say with --data or --addr which store is meant")
	}
	return a.node.addr != "", nil
}

// dataDir gives the store's directory, or says how to name one.
func (a *app) dataDir() (string, error) {
	remote, err := a.isRemote()
	switch {
	case err != nil:
		return "", err
	case remote:
		return "", usagef("this works on the store's files: give their directory with --data DIR, not a node's address")
	case a.data == "":
		return "", usagef("no store: give its directory with --data DIR or in TINE_DATA, or a node's address with --addr HOST:PORT or in TINE_ADDR")
	}
	return a.data, nil
}

// open opens the store, or connects to the node.
func (a *app) open(how access) (target, error) {
	remote, err := a.isRemote()
	if err != nil {
		return nil, err
	}
	if remote {
		return a.dial()
	}
	return a.openStore(how)
}

// withStore opens the store, calls fn and closes it; the first error wins, but a
// failed close is never lost.
func (a *app) withStore(how access, fn func(target) error) error {
	store, err := a.open(how)
	if err != nil {
		return err
	}
	return errors.Join(fn(store), store.Close())
}

// withFork is withStore for verbs on one fork.
func (a *app) withFork(how access, fn func(forkspace) error) error {
	return a.withStore(how, func(store target) error {
		f, err := store.Fork(a.fork)
		if err != nil {
			return err
		}
		return fn(f)
	})
}

// withKeyspace opens the store for reading and finds what --fork or --snapshot names.
func (a *app) withKeyspace(fn func(keyspace) error) error {
	return a.withStore(reading, func(store target) error {
		if a.snapshot != "" {
			snapshot, err := store.Snapshot(a.snapshot)
			if err != nil {
				return err
			}
			return fn(snapshot)
		}
		f, err := store.Fork(a.fork)
		if err != nil {
			return err
		}
		return fn(f)
	})
}

func (a *app) forkFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.fork, "fork", engine.MainFork, "the fork to work on")
}

func (a *app) keyspaceFlags(cmd *cobra.Command) {
	a.forkFlag(cmd)
	cmd.Flags().StringVar(&a.snapshot, "snapshot", "", "read this snapshot instead of a fork")
	exclusive(cmd, "fork", "snapshot")
}

// isLoopback tells whether only this machine can listen in on a connection to addr.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
