package main

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// deletion is what one del deletes: keys, or all in a range.
type deletion struct {
	isRange bool // of the arguments
	prefix  string

	keys   [][]byte
	bounds engine.Range // if there are no keys
}

func (a *app) delCommand() *cobra.Command {
	var d deletion
	cmd := &cobra.Command{
		Use:   "del KEY... | --range LO HI | --prefix PREFIX",
		Short: "Delete keys, or a range of them",
		Long: `Delete keys, all of them or none. A key that is not there is no error: the
delete is written without looking.

With --range, delete every key from LO up to HI, which is not included; an empty
argument ("") is open on that side. With --prefix, delete every key that begins so.
Either is one small write, however many keys there are.`,
		Args: func(cmd *cobra.Command, args []string) error {
			byPrefix := cmd.Flags().Changed("prefix")
			switch {
			case byPrefix && d.isRange:
				return usagef("--range and --prefix: choose one")
			case byPrefix:
				return takes("no keys beside --prefix", 0, 0)(cmd, args)
			case d.isRange:
				return takes("two bounds with --range", 2, 2)(cmd, args)
			}
			return takes("at least one key", 1, -1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			switch {
			case d.isRange:
				err = a.readBounds(&d, args[0], args[1])
			case cmd.Flags().Changed("prefix"):
				err = a.readPrefix(&d)
			default:
				err = a.readKeys(&d, args)
			}
			if err != nil {
				return err
			}
			return a.withFork(writing, func(fork forkspace) error { return a.del(fork, &d) })
		},
	}
	a.forkFlag(cmd)
	cmd.Flags().BoolVar(&d.isRange, "range", false, "the arguments are the first key and the end, which is not included")
	cmd.Flags().StringVar(&d.prefix, "prefix", "", "delete all keys that begin so")
	return cmd
}

func (a *app) readKeys(d *deletion, args []string) (err error) {
	d.keys = make([][]byte, len(args))
	for i, arg := range args {
		if d.keys[i], err = a.keyOf(arg); err != nil {
			return err
		}
	}
	return nil
}

// readBounds takes empty arguments for open bounds.
func (a *app) readBounds(d *deletion, lo, hi string) (err error) {
	if lo != "" {
		if d.bounds.Lower, err = a.bytesOf("lower bound", lo); err != nil {
			return err
		}
	}
	if hi != "" {
		if d.bounds.Upper, err = a.bytesOf("upper bound", hi); err != nil {
			return err
		}
		if bytes.Compare(d.bounds.Lower, d.bounds.Upper) > 0 {
			return usagef("the lower bound %s is above the upper bound %s; exchange them", quote(lo), quote(hi))
		}
	}
	return nil
}

// readPrefix refuses an empty prefix: it may be a variable that was never set, and
// would delete everything.
func (a *app) readPrefix(d *deletion) error {
	prefix, err := a.bytesOf("prefix", d.prefix)
	if err != nil {
		return err
	}
	if len(prefix) == 0 {
		return usagef(`the prefix is empty; to delete all keys, say --range "" ""`)
	}
	d.bounds = tree.PrefixRange(prefix)
	return nil
}

func (a *app) del(fork forkspace, d *deletion) error {
	var err error
	if d.keys == nil {
		err = fork.DeleteRange(d.bounds)
	} else {
		err = fork.Write(func(b tree.Batch) {
			for _, key := range d.keys {
				b.Delete(key)
			}
		})
	}
	if err != nil {
		return err
	}
	if !a.json {
		return nil
	}
	if d.keys != nil {
		return a.printJSON(map[string]any{"fork": fork.Name(), "keys": len(d.keys)})
	}
	done := map[string]string{"fork": fork.Name()}
	for name, bound := range map[string][]byte{"from": d.bounds.Lower, "to": d.bounds.Upper} {
		if bound != nil {
			a.addBytes(done, name, bound)
		}
	}
	return a.printJSON(done)
}
