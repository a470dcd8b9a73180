package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// Options say how a node is reached. The zero value is a plain connection without a
// token.
type Options struct {
	// TLS secures the connection. Nil: it is plain.
	TLS *tls.Config
	// Token says who calls. It goes over a plain connection only if PlainToken is set.
	Token      string
	PlainToken bool
	// RetryFor is for how long a call is tried again. Default 10 s; below 0: never.
	RetryFor time.Duration
	// MaxReceiveBytes bounds one message from the node. Default 80 MiB, which holds the
	// largest value.
	MaxReceiveBytes int
	// WithoutIDs sends batches without ids. They cost the node less, and are tried again
	// only if the node says that it has done nothing.
	WithoutIDs bool
	// Dial are further options of the library.
	Dial []grpc.DialOption
}

const (
	defaultRetryFor = 10 * time.Second
	defaultReceive  = 80 << 20
)

// Client is a connection to a node, made anew whenever it breaks. It may be used
// concurrently.
type Client struct {
	conn *grpc.ClientConn
	node tinepb.TineClient
	o    Options
}

// Dial makes a client of the node at an address such as "127.0.0.1:4790". It does not
// wait for the connection: the first call does.
func Dial(addr string, o Options) (*Client, error) {
	if o.RetryFor == 0 {
		o.RetryFor = defaultRetryFor
	}
	if o.MaxReceiveBytes <= 0 {
		o.MaxReceiveBytes = defaultReceive
	}
	if o.Token != "" && o.TLS == nil && !o.PlainToken {
		return nil, errors.New("a token would go over a plain connection, where others can read it: use TLS, or ask for it explicitly")
	}
	secured := insecure.NewCredentials()
	if o.TLS != nil {
		secured = credentials.NewTLS(o.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secured),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(o.MaxReceiveBytes)),
	}
	if o.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{o.Token, o.TLS != nil}))
	}
	conn, err := grpc.NewClient(addr, append(options, o.Dial...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return &Client{conn: conn, node: tinepb.NewTineClient(conn), o: o}, nil
}

// Close ends the connection, and calls that are under way.
func (c *Client) Close() error { return c.conn.Close() }
