package server

import (
	"fmt"
	"time"
)

// Limits bound what callers can take of a node. A field that is 0 has its default.
type Limits struct {
	// MaxReceiveBytes bounds one request message. It is also the bound of a key and its
	// value together: what is larger must be put in by other means. Default 4 MiB.
	MaxReceiveBytes int
	// MaxSendBytes bounds one answer message, and so a value that can be read. Default
	// 16 MiB.
	MaxSendBytes int
	// MaxParts bounds the operations, keys or names of one message, which cost more
	// memory than bytes on the wire. Default 64 Ki.
	MaxParts int
	// MaxHeaderBytes bounds the headers of one call. Default 16 KiB.
	MaxHeaderBytes int
	// MaxStreams bounds the calls under way on one connection. Default 128.
	MaxStreams int
	// MaxConnections bounds the connections; one more is closed at once. Default 1024.
	MaxConnections int
	// ConnectTime is how long a connection may take to say what it is, and then, that a
	// caller whom the node knows is at its other end. Default 10 s.
	ConnectTime time.Duration
	// IdleTime is after how long a connection without calls is closed. Default 30 min.
	IdleTime time.Duration

	// MaxInFlight bounds the calls of one lane under way: of the service, of health
	// checks, of watches and reflection. Default 1024.
	MaxInFlight int
	// MaxBytesInFlight bounds the memory of messages: of requests until they are
	// answered, and of answers until connections have taken them. Default 256 MiB.
	MaxBytesInFlight int64
	// MaxUnreadBytes bounds the answers that one connection leaves unread. Default
	// 32 MiB, but at least twice MaxSendBytes.
	MaxUnreadBytes int64
	// MaxScans bounds the scans under way in all, each of which keeps the files that it
	// reads from being removed. Default 256.
	MaxScans int

	// ScanMessageBytes is about how large one message of a scan gets. Default 128 KiB.
	ScanMessageBytes int
	// Lease is how long a scan waits for its caller to take a message, and how long a
	// connection may leave answers unread without taking any. Default 30 s.
	Lease time.Duration
	// ScanTime bounds one scan; the caller resumes it. Default 10 min.
	ScanTime time.Duration
	// CallTime bounds any other call of data and forks. A write that the disk holds up is
	// answered when the disk answers. Default 1 min.
	CallTime time.Duration
	// AdminTime bounds flush, compact, check and backup. Default 6 h.
	AdminTime time.Duration

	// PageRows bounds one page of a list. Default 1000.
	PageRows int

	// PerFork bounds what all callers together do to one fork. Default: nothing is
	// bounded. A caller's own rates come from its Principal.
	PerFork Rates
	// RateEntries bounds the forks and callers whose rates are remembered at a time.
	// Default 64 Ki.
	RateEntries int
}

// Rates bound a flow. 0 is no bound. A burst of one second's worth is let through.
type Rates struct {
	Calls float64 // a second
	Bytes float64 // a second, of keys and values in both directions
}

// writeBytes is what a part of a request that writes takes in all, beside its bytes: in
// the message, and in the batch that is made of it.
const writeBytes = partBytes + 16

// Validate says what in the limits does not go together, once fields that are 0 have
// their defaults.
func (l Limits) Validate() error {
	l = l.withDefaults()
	// A write's message and its batch are there at the same time. What never fits would be
	// told to come again, for ever.
	least := 2*int64(l.MaxReceiveBytes) + int64(min(l.MaxParts, l.MaxReceiveBytes/2))*writeBytes + 1<<10
	if l.MaxBytesInFlight < least {
		return fmt.Errorf("%d bytes have no room for one write of %d bytes, which may take %d", l.MaxBytesInFlight, l.MaxReceiveBytes, least)
	}
	// A value and the message that it is sent in are there at the same time; a scan has its
	// buffers besides.
	least = 2*int64(l.MaxSendBytes) + 2*int64(l.ScanMessageBytes) + 64<<10
	if l.MaxBytesInFlight < least {
		return fmt.Errorf("%d bytes have no room for one answer of %d bytes, which may take %d", l.MaxBytesInFlight, l.MaxSendBytes, least)
	}
	if l.MaxUnreadBytes < int64(l.MaxSendBytes) {
		return fmt.Errorf("a connection that may leave %d bytes unread has no room for one answer of %d bytes", l.MaxUnreadBytes, l.MaxSendBytes)
	}
	return nil
}

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set64 := func(field *int64, value int64) {
		if *field <= 0 {
			*field = value
		}
	}
	setTime := func(field *time.Duration, value time.Duration) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.MaxReceiveBytes, 4<<20)
	set(&l.MaxSendBytes, 16<<20)
	set(&l.MaxParts, 64<<10)
	set(&l.MaxHeaderBytes, 16<<10)
	set(&l.MaxStreams, 128)
	set(&l.MaxConnections, 1024)
	setTime(&l.ConnectTime, 10*time.Second)
	setTime(&l.IdleTime, 30*time.Minute)
	set(&l.MaxInFlight, 1024)
	set64(&l.MaxBytesInFlight, 256<<20)
	set64(&l.MaxUnreadBytes, max(32<<20, 2*int64(l.MaxSendBytes)))
	set(&l.MaxScans, 256)
	set(&l.ScanMessageBytes, 128<<10)
	l.ScanMessageBytes = min(l.ScanMessageBytes, l.MaxSendBytes/2)
	setTime(&l.Lease, 30*time.Second)
	setTime(&l.ScanTime, 10*time.Minute)
	setTime(&l.CallTime, time.Minute)
	setTime(&l.AdminTime, 6*time.Hour)
	set(&l.PageRows, 1000)
	set(&l.RateEntries, 64<<10)
	return l
}
