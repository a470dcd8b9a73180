package server

import (
	"time"

	"google.golang.org/grpc"
)

// A lane is what calls have bounds in common with. Those of one lane cannot take the
// room of those of another: whoever asks only whether the node is there, for which
// nobody is asked for a name, keeps nobody from their data.
type lane uint8

const (
	laneCalls  lane = iota // of the service
	laneHealth             // of callers who need no name
	laneAside              // watches of health, and reflection
	lanes
)

// asideBytes bounds a message to health or reflection: a service's or symbol's name.
const asideBytes = 4 << 10

// asideReceivers is how many messages of a lane aside may be arriving at a time. The
// library knows one bound of messages for all services, so that each may take that.
const asideReceivers = 8

// asideTime is how long such a message may take to arrive.
const asideTime = 5 * time.Second

// lane is the call's.
func (c *call) lane() lane {
	if c.rule == nil {
		return laneCalls
	}
	return c.rule.lane
}

// registrar puts each method of a service behind begin and end. They see a call before
// its message has arrived, which interceptors of the library do not.
type registrar struct {
	*grpc.Server
	s *Server
}

// RegisterService registers the service with the library.
func (r registrar) RegisterService(of *grpc.ServiceDesc, impl any) {
	d, name := *of, "/"+of.ServiceName+"/"
	d.Methods = append([]grpc.MethodDesc(nil), d.Methods...)
	for i, m := range d.Methods {
		d.Methods[i].Handler = r.s.unary(name+m.MethodName, m.Handler)
	}
	d.Streams = append([]grpc.StreamDesc(nil), d.Streams...)
	for i, m := range d.Streams {
		d.Streams[i].Handler = r.s.stream(name+m.StreamName, m.Handler)
	}
	r.Server.RegisterService(&d, impl)
}
