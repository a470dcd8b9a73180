package server

// Stopping tells whether Shutdown has begun.
func (s *Server) Stopping() bool { return s.stopping() }

// Receiving is how many messages of calls are arriving.
func (s *Server) Receiving() int64 { return s.shares.used(someReceiving + resource(laneCalls)) }
