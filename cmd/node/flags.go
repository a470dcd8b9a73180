package node

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// ConfigFlag names the file of settings; it cannot itself be set there.
const ConfigFlag = "config"

// Register makes a flag for each setting but the store's directory, which is a flag of
// all verbs.
func (c *Config) Register(flags *pflag.FlagSet) {
	flags.String(ConfigFlag, "", "file with settings, 'name = value' with the names of these flags")

	flags.StringVar(&c.Listen, "listen", c.Listen, "address of the service")
	flags.StringVar(&c.Admin, "admin", c.Admin, "address of /metrics, /healthz and /readyz, or off")
	flags.StringVar(&c.Pprof, "pprof", c.Pprof, "loopback address of /debug/pprof, or off")

	flags.StringVar(&c.TLSCert, "tls-cert", "", "file with the node's certificate and its chain, PEM")
	flags.StringVar(&c.TLSKey, "tls-key", "", "file with the key of --tls-cert, PEM")
	flags.StringVar(&c.TLSClientCA, "tls-client-ca", "", "let in only clients with a certificate of one of the authorities in this file, PEM")
	flags.StringVar(&c.Tokens, "tokens", "", "file that says who may do what; see 'tine token'")
	flags.BoolVar(&c.InsecurePlaintext, "insecure-plaintext", false, "serve without TLS on an address that others reach")
	flags.BoolVar(&c.InsecureNoTokens, "insecure-no-tokens", false, "let everybody do everything on an address that others reach")

	flags.DurationVar(&c.DrainTimeout, "drain-timeout", c.DrainTimeout, "how long calls that run may go on after SIGTERM")
	flags.Var(&choice{&c.LogLevel, []string{"debug", "info", "warn", "error"}}, "log-level", "debug, info, warn or error")
	flags.Var(&choice{&c.LogFormat, []string{"text", "json"}}, "log-format", "text or json")
	flags.DurationVar(&c.LogSlow, "log-slow", c.LogSlow, "log calls that take as long; 0: none")

	flags.Var(&c.MaxReceiveBytes, "max-receive-bytes", "largest request message, and so the largest row that can be written (0: 4MiB)")
	flags.Var(&c.MaxSendBytes, "max-send-bytes", "largest answer message, and so the largest row that can be read (0: 16MiB)")
	flags.Var(&c.MaxBytesInFlight, "max-bytes-in-flight", "memory of all messages that are under way (0: 256MiB)")
	flags.IntVar(&c.MaxConnections, "max-connections", 0, "connections at a time (0: 1024)")
	flags.IntVar(&c.MaxStreams, "max-streams", 0, "calls at a time on one connection (0: 128)")
	flags.IntVar(&c.MaxInFlight, "max-in-flight", 0, "calls at a time in all (0: 1024)")
	flags.IntVar(&c.MaxScans, "max-scans", 0, "scans at a time in all (0: 256)")
	flags.DurationVar(&c.CallTime, "call-time", 0, "how long a call may take that is no scan and not administrative (0: 1m)")
	flags.DurationVar(&c.ScanTime, "scan-time", 0, "how long one scan may take; clients resume it (0: 10m)")
	flags.DurationVar(&c.Lease, "lease", 0, "how long a scan waits for a client that does not read (0: 30s)")
	flags.Float64Var(&c.ForkCalls, "fork-calls", 0, "calls a second to one fork, of all clients together (0: no bound)")
	flags.Var(&c.ForkBytes, "fork-bytes", "bytes a second of keys and values of one fork, of all clients together (0: no bound)")

	flags.Var(&c.MemtableBytes, "memtable-bytes", "memory for unflushed writes (0: 64MiB)")
	flags.Var(&c.CacheBytes, "cache-bytes", "memory for table blocks (0: 256MiB)")
	flags.Var(&c.TableCacheBytes, "table-cache-bytes", "memory for indexes and filters (0: 128MiB)")
	flags.Var(&c.MaxLogBytes, "max-log-bytes", "bound of the log on disk (0: 304MiB, or what fits memtable-bytes)")
	flags.IntVar(&c.MaxOpenFiles, "max-open-files", 0, "table files held open (0: 256, or half of what the process may open)")
}

// Environment is the variable of a setting: TINE_TLS_CERT of tls-cert.
func Environment(name string) string {
	return "TINE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Resolve sets what no flag has set: from the environment, where the variable is set
// and not empty; else from the file that --config or TINE_CONFIG names; else the
// default stays. lookup is os.LookupEnv. The flags must have been parsed. data is the
// directory that the flag or the environment gave.
func (c *Config) Resolve(flags *pflag.FlagSet, lookup func(string) (string, bool), data string) error {
	environment := func(name string) string {
		value, _ := lookup(Environment(name))
		return value
	}
	path := flags.Lookup(ConfigFlag).Value.String()
	if path == "" {
		path = environment(ConfigFlag)
	}
	var file map[string]string
	if path != "" {
		var err error
		if file, err = readFile(path); err != nil {
			return err
		}
	}
	c.Data = data
	if inFile, ok := file["data"]; ok {
		delete(file, "data")
		if c.Data == "" {
			c.Data = inFile
		}
	}
	known := NewConfig().names()
	for name := range file {
		if !known[name] {
			return fmt.Errorf("config file %s: there is no setting %q", path, name)
		}
	}
	var problem error
	set := func(f *pflag.Flag, value, from string) {
		if err := flags.Set(f.Name, value); err != nil && problem == nil {
			problem = fmt.Errorf("%s: %w", from, err)
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if !known[f.Name] || f.Changed {
			return
		}
		if value := environment(f.Name); value != "" {
			set(f, value, Environment(f.Name))
		} else if value, ok := file[f.Name]; ok {
			set(f, value, "config file "+path)
		}
	})
	return problem
}

// names are those of all settings that can be set in a file or the environment, but
// for data.
func (c *Config) names() map[string]bool {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.Register(flags)
	names := map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) { names[f.Name] = f.Name != ConfigFlag })
	return names
}
