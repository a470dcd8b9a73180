package server

// Stopping tells whether Shutdown has begun.
func (s *Server) Stopping() bool { return s.stopping() }
