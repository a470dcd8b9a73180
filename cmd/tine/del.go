package main

import (
	"github.com/spf13/cobra"

	"github.com/tinedb/tine/engine"
)

func (a *app) delCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "del KEY...",
		Short: "Delete keys",
		Long: `Delete keys, all of them or none. A key that is not there is no error: the
delete is written without looking.`,
		Args: takes("at least one key", 1, -1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys := make([][]byte, len(args))
			for i, arg := range args {
				var err error
				if keys[i], err = a.keyOf(arg); err != nil {
					return err
				}
			}
			return a.withFork(writing, func(store *engine.Store, fork *engine.Fork) error {
				batch := store.NewBatch()
				for _, key := range keys {
					batch.Delete(fork, key)
				}
				if err := batch.Commit(); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"fork": fork.Name(), "keys": len(keys)})
				}
				return nil
			})
		},
	}
	a.forkFlag(cmd)
	return cmd
}
