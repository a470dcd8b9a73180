package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// resolve makes a Config of arguments, an environment and a file.
func resolve(t *testing.T, args []string, env map[string]string, file string) (*Config, error) {
	t.Helper()
	c := NewConfig()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	data := flags.String("data", env["TINE_DATA"], "")
	c.Register(flags)
	if file != "" {
		path := filepath.Join(t.TempDir(), "tine.conf")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		args = append(args, "--config", path)
	}
	require.NoError(t, flags.Parse(args))
	lookup := func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	return c, c.Resolve(flags, lookup, *data)
}

func TestAFlagGoesBeforeTheEnvironmentBeforeTheFileBeforeTheDefault(t *testing.T) {
	file := "# a node\n\nlisten = 127.0.0.1:3\nadmin=off\ncache-bytes = 2GiB\n data = /from/file \nlog-slow = 2s\nlog-format = json\n"
	env := map[string]string{"TINE_LISTEN": "127.0.0.1:2", "TINE_LOG_SLOW": "3s", "TINE_ADMIN": "", "TINE_TOKEN": "no setting"}
	c, err := resolve(t, []string{"--listen", "127.0.0.1:1"}, env, file)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", c.Listen, "the flag")
	require.Equal(t, 3*time.Second, c.LogSlow, "the environment")
	require.Equal(t, off, c.Admin, "the file: a variable that is empty is not set")
	require.Equal(t, byteSize(2<<30), c.CacheBytes, "the file")
	require.Equal(t, "json", c.LogFormat, "the file")
	require.Equal(t, "/from/file", c.Data)
	require.Equal(t, "127.0.0.1:4792", c.Pprof, "the default")
	require.NoError(t, c.Validate())

	env["TINE_DATA"] = "/from/environment"
	c, err = resolve(t, nil, env, file)
	require.NoError(t, err)
	require.Equal(t, "/from/environment", c.Data)
	require.Equal(t, "127.0.0.1:2", c.Listen)
	c, err = resolve(t, []string{"--data", "/from/flag"}, env, file)
	require.NoError(t, err)
	require.Equal(t, "/from/flag", c.Data)
}

func TestTheFileMayBeNamedInTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tine.conf")
	require.NoError(t, os.WriteFile(path, []byte("listen = [::1]:5"), 0o600))
	c, err := resolve(t, nil, map[string]string{"TINE_CONFIG": path}, "")
	require.NoError(t, err)
	require.Equal(t, "[::1]:5", c.Listen)
}

func TestASettingThatIsNotUnderstoodIsAnErrorThatSaysWhere(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		file string
		text []string
	}{
		{"a setting that does not exist", nil, "lisen = 1\n", []string{"tine.conf", `no setting "lisen"`}},
		{"the file in the file", nil, "config = x\n", []string{`no setting "config"`}},
		{"a line without a value", nil, "# x\nlisten\n", []string{"line 2", "no 'name = value'"}},
		{"a name that comes twice", nil, "listen = a:1\nlisten = a:2\n", []string{"line 2", "listen is given twice"}},
		{"no number of bytes", nil, "cache-bytes = much\n", []string{"tine.conf", "512MiB"}},
		{"no duration, in the environment", map[string]string{"TINE_DRAIN_TIMEOUT": "soon"}, "", []string{"TINE_DRAIN_TIMEOUT"}},
		{"no level", map[string]string{"TINE_LOG_LEVEL": "loud"}, "", []string{"TINE_LOG_LEVEL", "none of [debug info warn error]"}},
		{"a file that is not there", map[string]string{"TINE_CONFIG": "/nowhere/at/all"}, "", []string{"/nowhere/at/all"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(t, nil, c.env, c.file)
			for _, text := range c.text {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestWhatOthersReachIsSafeUnlessItIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		text string // "" if it is allowed
	}{
		{"the defaults", nil, ""},
		{"loopback by name", []string{"--listen", "localhost:1"}, ""},
		{"loopback of version 6", []string{"--listen", "[::1]:1"}, ""},
		{"another loopback address", []string{"--listen", "127.1.2.3:1"}, ""},
		{"every address", []string{"--listen", ":1"}, "tls-cert"},
		{"every address, in digits", []string{"--listen", "0.0.0.0:1"}, "tls-cert"},
		{"every address of version 6", []string{"--listen", "[::]:1"}, "tls-cert"},
		{"a loopback address in version 6", []string{"--listen", "[::ffff:127.0.0.1]:1"}, ""},
		{"a name", []string{"--listen", "localhost.example.org:1"}, "tls-cert"},
		{"a name that begins as a loopback address", []string{"--listen", "127.0.0.1.example.org:1"}, "tls-cert"},
		{"plaintext asked for, without tokens", []string{"--listen", ":1", "--insecure-plaintext"}, "tokens"},
		{"plaintext asked for, with tokens", []string{"--listen", ":1", "--insecure-plaintext", "--tokens", "t"}, ""},
		{"TLS without tokens", []string{"--listen", ":1", "--tls-cert", "c", "--tls-key", "k"}, "tokens or tls-client-ca"},
		{"TLS with tokens", []string{"--listen", ":1", "--tls-cert", "c", "--tls-key", "k", "--tokens", "t"}, ""},
		{"TLS of both sides", []string{"--listen", ":1", "--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "a"}, ""},
		{"nothing, asked for twice", []string{"--listen", ":1", "--insecure-plaintext", "--insecure-no-tokens"}, ""},
		{"a certificate without its key", []string{"--tls-cert", "c"}, "belong together"},
		{"a key without its certificate", []string{"--tls-key", "c"}, "belong together"},
		{"clients' certificates without TLS", []string{"--tls-client-ca", "c"}, "needs tls-cert"},
		{"metrics for others", []string{"--admin", ":1"}, ""},
		{"no metrics", []string{"--admin", "off"}, ""},
		{"profiles for others", []string{"--pprof", ":1"}, "loopback address only"},
		{"no profiles", []string{"--pprof", "off"}, ""},
		{"no port", []string{"--listen", "127.0.0.1"}, "not HOST:PORT"},
		{"no service", []string{"--listen", "off"}, "not HOST:PORT"},
		{"less memory than one write takes", []string{"--max-bytes-in-flight", "1MiB"}, "max-bytes-in-flight: 1048576 bytes have no room for one write of 4194304"},
		{"less memory than one answer takes", []string{"--max-bytes-in-flight", "24MiB"}, "max-bytes-in-flight: 25165824 bytes have no room for one answer of 16777216"},
		{"writes larger than all memory", []string{"--max-receive-bytes", "512MiB"}, "have no room for one write of 536870912"},
		{"writes of which the batch has no room", []string{"--max-receive-bytes", "200MiB"}, "have no room for one write"},
		{"little memory for small writes", []string{"--max-bytes-in-flight", "1MiB", "--max-send-bytes", "64KiB", "--max-receive-bytes", "8KiB"}, ""},
		{"large writes and the memory for them", []string{"--max-receive-bytes", "512MiB", "--max-bytes-in-flight", "2GiB"}, ""},
		{"a time below nothing", []string{"--drain-timeout", "-1s"}, "not below 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := resolve(t, append([]string{"--data", "d"}, c.args...), nil, "")
			require.NoError(t, err)
			if c.text == "" {
				require.NoError(t, config.Validate())
			} else {
				require.ErrorContains(t, config.Validate(), c.text)
			}
		})
	}
	require.ErrorContains(t, NewConfig().Validate(), "--data")
}
