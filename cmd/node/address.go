package node

import (
	"fmt"
	"net"
	"net/netip"
)

// off is the address of a port that is not wanted.
const off = "off"

// loopback tells whether an address can be reached from this machine only. A host
// name other than localhost is not looked up: what it means can change.
func loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("the address %q is not HOST:PORT: %w", address, err)
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback(), nil
}
