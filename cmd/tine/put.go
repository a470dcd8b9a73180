package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

func (a *app) putCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "put KEY [VALUE | -]",
		Short: "Set a key",
		Long: `Set a key. The value is the argument, or standard input for "-", or the file
named by --file. In an empty or missing directory a new store is made.
The write is durable when the command ends.`,
		Args: takes("a key and a value", 1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.keyOf(args[0])
			if err != nil {
				return err
			}
			if (len(args) == 2) == cmd.Flags().Changed("file") {
				return usagef("give the value as an argument, as - for standard input, or with --file FILE: one of them")
			}
			value, err := a.valueOf(args[1:], file)
			if err != nil {
				return err
			}
			return a.withFork(creating, func(fork forkspace) error {
				if err := fork.Write(func(b tree.Batch) { b.Set(key, value) }); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"fork": fork.Name(), "bytes": len(value)})
				}
				return nil
			})
		},
	}
	a.forkFlag(cmd)
	cmd.Flags().StringVar(&file, "file", "", "read the value from this file")
	return cmd
}

// valueOf reads a value from where the arguments say. It stops reading one byte
// above the limit: a longer value is refused anyhow.
func (a *app) valueOf(args []string, file string) ([]byte, error) {
	var from io.Reader
	switch {
	case len(args) == 1 && args[0] != "-":
		return a.bytesOf("value", args[0])
	case len(args) == 1:
		from = a.in
	default:
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	limit := int64(engine.MaxValueBytes)
	if a.hex {
		limit = 2*limit + 1
	}
	value, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the value: %w", err)
	}
	if int64(len(value)) > limit {
		return nil, fmt.Errorf("put: %w: the value has more than %d bytes", engine.ErrLimit, engine.MaxValueBytes)
	}
	if a.hex {
		for len(value) > 0 && (value[len(value)-1] == '\n' || value[len(value)-1] == '\r') {
			value = value[:len(value)-1]
		}
		return a.bytesOf("value", string(value))
	}
	return value, nil
}
