package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is one call of the command: its streams and the flags that all verbs
// share. It is used by one goroutine.
type app struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer
	errOut io.Writer

	flags    *pflag.FlagSet // of all verbs
	data     string         // --data
	node     connection     // --addr and what goes with it
	all      bool           // --all
	fork     string         // --fork
	snapshot string         // --snapshot, for verbs that can read one
	json     bool
	hex      bool
	yes      bool
	dryRun   bool
}

// run carries out one command and gives its exit code. It touches nothing of the
// process but its signal handlers, so that tests can call it.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{ctx: ctx, in: in, out: out, errOut: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	if err := root.ExecuteContext(ctx); err != nil {
		// A flag error may come before --json was read.
		for _, arg := range args {
			if arg == "--" {
				break
			}
			a.json = a.json || arg == "--json"
		}
		return a.fail(err)
	}
	return exitOK
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tine",
		Short: "A log-structured store whose keyspaces fork",
		Long: `tine works on a store of forks: writable, isolated copies of a whole keyspace
that cost one small record to make and nothing to throw away.

  tine --data DIR put greeting hello
  tine --data DIR fork create try
  tine --data DIR put --fork try greeting bonjour
  tine --data DIR get greeting

The directory may also be given as TINE_DATA. "tine serve" serves a store over the
network; on it the same verbs work, with --addr HOST:PORT (or TINE_ADDR) instead of
--data. "tine help exit-codes" lists the
exit codes; "tine demo" shows the whole story on real files.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	group(root)
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVar(&a.data, "data", os.Getenv("TINE_DATA"), "directory of the store (default $TINE_DATA)")
	flags.StringVar(&a.node.addr, "addr", os.Getenv("TINE_ADDR"), "work on the store of the node at HOST:PORT (default $TINE_ADDR)")
	flags.BoolVar(&a.node.secured, "tls", false, "with --addr: connect with TLS, and trust the system's authorities")
	flags.StringVar(&a.node.ca, "tls-ca", "", "with --addr: connect with TLS, and trust the authorities in this file")
	flags.StringVar(&a.node.cert, "tls-client-cert", "", "with --addr: this client's certificate, in a file")
	flags.StringVar(&a.node.key, "tls-client-key", "", "with --addr: the key of --tls-client-cert, in a file")
	flags.StringVar(&a.node.tokenFile, "token-file", "", "with --addr: the token is in this file (default: it is $TINE_TOKEN)")
	flags.BoolVar(&a.node.plain, "insecure-plaintext", false, "with --addr: send the token although others may read it on the way")
	flags.BoolVar(&a.all, "all", false, "with --data: show and use a node's own forks too, .tine/*")
	a.flags = flags
	flags.BoolVar(&a.json, "json", false, "print JSON")
	flags.BoolVar(&a.hex, "hex", false, "keys and values are hexadecimal, in arguments and in output")
	root.AddCommand(
		a.getCommand(), a.putCommand(), a.delCommand(), a.scanCommand(), a.batchCommand(),
		a.forkCommand(), a.snapshotCommand(),
		a.importCommand(), a.exportCommand(),
		a.checkCommand(), a.dumpCommand(), a.statsCommand(),
		a.backupCommand(), a.restoreCommand(),
		a.serveCommand(), a.tokenCommand(),
		a.demoCommand(), a.demoWriterCommand(), a.versionCommand(),
		exitCodesTopic(),
	)
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := programVersion()
			if a.json {
				return a.printJSON(v)
			}
			return a.printf("tine %s %s %s\n", v.Version, v.Go, v.Revision)
		},
	}
}

// version is which program this is.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

func programVersion() version {
	v := version{Version: "(devel)"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Go = info.GoVersion
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}
