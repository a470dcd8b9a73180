package node

import (
	"net"
	"os"
	"strings"
)

// notify tells systemd how the service does, where it was started by systemd with
// Type=notify: one datagram to the socket that NOTIFY_SOCKET names. That it cannot be
// told stops nothing.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
