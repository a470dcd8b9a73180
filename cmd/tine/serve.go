package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/node"
)

// clientFlags are flags of all verbs that a node does not listen to: who gives one
// would else believe that it is in force.
var clientFlags = []string{"addr", "tls", "tls-ca", "tls-client-cert", "tls-client-key", "token-file"}

func (a *app) serveCommand() *cobra.Command {
	config := node.NewConfig()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the store over the network until SIGTERM",
		Long: `tine serve opens the store, makes it if there is none, and serves it until it gets
SIGTERM or SIGINT. Then calls that run may go on for --drain-timeout, and the store is
closed.

When it serves it prints one line with its addresses, or with --json an object, so
that port 0 can be asked for. All else goes to the log, on the error output.

Every setting can be given in three ways; the first that is there counts:
  1. the flag, --tls-cert FILE
  2. the environment, TINE_TLS_CERT=FILE
  3. a line in the file that --config or TINE_CONFIG names, tls-cert = FILE

On an address that others reach it serves only with TLS and with a tokens file or
clients' certificates, unless it is told that it need not. On SIGHUP, and when their
files change, tokens and certificates are loaded anew. docs/node.md is the guide.`,
		Args: takes("nothing", 0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range clientFlags {
				if cmd.Flags().Changed(name) {
					return usagef("--%s is for clients of a node; tine serve is the node, and has --tls-cert, --tls-client-ca and --tokens", name)
				}
			}
			if err := config.Resolve(cmd.Flags(), os.LookupEnv, a.data); err != nil {
				return usagef("%v", err)
			}
			if err := config.Validate(); err != nil {
				return usagef("%v", err)
			}
			return node.Run(a.ctx, config, node.Output{
				Addresses: a.out, JSON: a.json, Log: a.errOut, Version: programVersion().Version,
			})
		},
	}
	config.Register(cmd.Flags())
	return cmd
}
