package main

import (
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Print the value of a key, byte for byte; a newline is added only on a terminal.
A key that is not there ends with exit code 3.`,
		Args: takes("one key", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := a.keyOf(args[0])
			if err != nil {
				return err
			}
			return a.withKeyspace(func(space keyspace) error {
				value, err := space.Get(key)
				if err != nil {
					return fmt.Errorf("get %s: %w", a.appendText(nil, key), err)
				}
				return a.printValue(key, value)
			})
		},
	}
	a.keyspaceFlags(cmd)
	return cmd
}

func (a *app) printValue(key, value []byte) error {
	if a.json {
		return a.printRow(key, append([]byte{}, value...)) // an empty value is printed too
	}
	if a.hex {
		return a.printf("%s\n", hex.EncodeToString(value))
	}
	if isTerminal(a.out) {
		value = append(value, '\n')
	}
	_, err := a.out.Write(value)
	return err
}
