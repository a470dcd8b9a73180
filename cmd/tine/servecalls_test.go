package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// as is a call's context with a token.
func as(t *testing.T, token string) context.Context {
	return metadata.AppendToOutgoingContext(soon(t), "authorization", "Bearer "+strings.TrimSpace(token))
}

func fork(name string) *tinepb.Source {
	return &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: name}}}
}

func setting(fork, key, value string) *tinepb.WriteRequest {
	return &tinepb.WriteRequest{
		Forks: []*tinepb.Ref{{Name: fork}},
		Ops:   []*tinepb.Op{{Kind: tinepb.Op_SET, Key: []byte(key), Value: []byte(value)}},
	}
}

func TestATokenLetsInToWhatItSaysAndWhatIsDeniedIsLogged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	reader := ok(t, "token", "new", "reader", "--read", "main", "--append", path)
	runner := ok(t, "token", "new", "runner", "--read", "main,run-*", "--write", "run-*", "--fork", "run-*", "--append", path)
	ops := ok(t, "token", "new", "ops", "--admin", "--append", path)
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--tokens", path)
	c := tinepb.NewTineClient(n.dial())

	_, err := c.Get(soon(t), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}})
	require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
	n.logs("call denied", "method=Get", "code=Unauthenticated", "no credentials", "remote=127.0.0.1")
	_, err = c.Get(as(t, strings.TrimSpace(reader)+"x"), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}})
	require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)

	_, err = c.Get(as(t, reader), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}})
	require.NoError(t, err)
	_, err = c.Write(as(t, reader), setting("main", "k", "v"))
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
	n.logs("call denied", "method=Write", "principal=reader", "code=PermissionDenied")
	_, err = c.Stats(as(t, reader), &tinepb.StatsRequest{})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)

	_, err = c.CreateForks(as(t, runner), &tinepb.CreateForksRequest{From: fork("main"), Names: []string{"run-1", "walk-1"}})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
	_, err = c.CreateForks(as(t, runner), &tinepb.CreateForksRequest{From: fork("main"), Names: []string{"run-1"}})
	require.NoError(t, err)
	_, err = c.Write(as(t, runner), setting("run-1", "k", "v"))
	require.NoError(t, err)
	_, err = c.Write(as(t, runner), setting("main", "k", "v"))
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
	_, err = c.Get(as(t, reader), &tinepb.GetRequest{Source: fork("run-1"), Keys: [][]byte{[]byte("k")}})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)

	_, err = c.Stats(as(t, ops), &tinepb.StatsRequest{})
	require.NoError(t, err)
	n.logs("administrative call", "method=Stats", "principal=ops", "code=OK")
	_, err = c.Get(as(t, ops), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "to administer is not to read: %v", err)

	require.Equal(t, "2", n.metric(`tine_calls_total{code="Unauthenticated",method="Get"}`))
	require.Equal(t, "1", n.metric(`tine_calls_total{code="OK",method="Write"}`))
	require.Equal(t, "2", n.metric(`tine_calls_total{code="PermissionDenied",method="Write"}`))
	require.Equal(t, "0", n.metric(`tine_calls_in_flight{method="Write"}`))
	require.Equal(t, "1", n.metric("tine_connections"))
	require.NotEqual(t, "0", n.metric(`tine_io_sync_seconds_count{kind="log"}`))

	t.Run("a token that was taken out is refused on connections that are open", func(t *testing.T) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		lines := strings.Split(string(text), "\n")
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines[1:], "\n")), 0o600))
		n.logs("msg=reloaded", "what=tokens")
		_, err = c.Get(as(t, reader), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}})
		require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
	})
	for _, token := range []string{reader, runner, ops} {
		require.NotContains(t, n.log.String(), strings.TrimSpace(token))
	}
}

func TestQuotasOfATokenHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	slow := ok(t, "token", "new", "slow", "--read", "*", "--rate", "0.001", "--append", path)
	fast := ok(t, "token", "new", "fast", "--read", "*", "--append", path)
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--tokens", path)
	c := tinepb.NewTineClient(n.dial())
	get := func(token string) codes.Code {
		_, err := c.Get(as(t, token), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}})
		return status.Code(err)
	}
	codesOfSlow := map[codes.Code]int{}
	for range 5 {
		codesOfSlow[get(slow)]++
		require.Equal(t, codes.OK, get(fast), "others are not held back")
	}
	require.GreaterOrEqual(t, codesOfSlow[codes.ResourceExhausted], 4, "%v", codesOfSlow)
}

// watching opens a call that lasts until its caller or the node ends it.
func watching(t *testing.T, c *grpc.ClientConn) grpc.ServerStreamingClient[healthpb.HealthCheckResponse] {
	t.Helper()
	w, err := healthpb.NewHealthClient(c).Watch(soon(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	first, err := w.Recv()
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, first.Status)
	return w
}

func TestADrainDoesNotWaitForThoseWhoWatchHealth(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--drain-timeout", "1h")
	w := watching(t, n.dial())
	n.signal(syscall.SIGTERM)
	answer, err := w.Recv()
	if err == nil { // it may be told before it is ended
		require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, answer.Status)
		_, err = w.Recv()
	}
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.Equal(t, exitOK, n.ended())
	n.logs("msg=drained")
}

// stuck opens a scan whose rows nobody reads, so that it is under way until its lease
// ends.
func stuck(t *testing.T, n *served) {
	t.Helper()
	c := tinepb.NewTineClient(n.dial())
	value := strings.Repeat("v", 1<<20)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		_, err := c.Write(soon(t), setting("main", key, value))
		require.NoError(t, err)
	}
	_, err := c.Scan(soon(t), &tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.metric("tine_scans") == "1" }, patience, 5*time.Millisecond)
}

func TestACallThatDoesNotEndIsBrokenOffWhenTheTimeIsOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	n := serve(t, dir, "--lease", "1h", "--drain-timeout", "50ms")
	stuck(t, n)
	n.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, n.ended())
	n.logs("calls were broken off", "deadline exceeded")
	n.logs("closed the store")
	ok(t, in(dir, "check", "--level", "full")...)
}

func TestASecondSignalEndsTheWaiting(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--lease", "1h", "--drain-timeout", "1h")
	stuck(t, n)
	n.signal(syscall.SIGTERM)
	n.logs("msg=draining")
	n.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, n.ended())
	n.logs("calls were broken off")
}

func TestADrainingNodeSaysSoAndTakesNoCalls(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--lease", "1h", "--drain-timeout", "1h")
	other := n.dial()
	_, err := tinepb.NewTineClient(other).About(soon(t), &tinepb.AboutRequest{})
	require.NoError(t, err)
	stuck(t, n)
	n.signal(syscall.SIGTERM)
	n.logs("msg=draining", "calls=1")
	n.signal(syscall.SIGHUP) // means nothing now, and does not end it
	status503, body := n.get(n.Admin, "/readyz")
	require.Equal(t, 503, status503)
	require.Contains(t, body, "being stopped")
	alive, _ := n.get(n.Admin, "/healthz")
	require.Equal(t, 200, alive)
	require.Equal(t, "0", n.metric("tine_ready"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = tinepb.NewTineClient(other).About(ctx, &tinepb.AboutRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

func TestWhatWasAcknowledgedSurvivesAKilledNode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for round := range 3 {
		n := serve(t, dir)
		c := tinepb.NewTineClient(n.dial())
		for i := range round {
			got, err := c.Get(soon(t), &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{{'a' + byte(i)}}})
			require.NoError(t, err)
			require.True(t, got.Values[0].Found, "of round %d", i)
		}
		w := setting("main", string(rune('a'+round)), "v")
		w.NoSync = round == 1 // that survives a kill as well
		_, err := c.Write(soon(t), w)
		require.NoError(t, err)
		n.signal(syscall.SIGKILL)
		require.Equal(t, -1, n.ended())
	}
	require.Equal(t, "v", ok(t, in(dir, "get", "c")...))
	ok(t, in(dir, "check", "--level", "full")...)
}
