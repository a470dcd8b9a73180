package auth

import (
	"time"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// Principal is who makes a call, as the file says. It never changes: after a reload
// calls meet another one of the same name, and the quotas that the server keeps for
// the name go on.
type Principal struct {
	entry Entry
}

func (p *Principal) unlessExpired(now time.Time) (*Principal, error) {
	if e := p.entry.Expires; !e.IsZero() && !now.Before(e) {
		return nil, ErrExpired
	}
	return p, nil
}

// Name is the name in the file.
func (p *Principal) Name() string { return p.entry.Name }

// May is part of server.Principal.
func (p *Principal) May(v server.Verb, name string) bool {
	if v == server.VerbAdmin {
		return p.entry.Scope.Admin
	}
	return p.entry.Scope.Allows(v, name)
}

// MayAll is part of server.Principal.
func (p *Principal) MayAll(v server.Verb, prefix string) bool {
	if v == server.VerbAdmin {
		return p.entry.Scope.Admin
	}
	return p.entry.Scope.AllowsAll(v, prefix)
}

// Patterns is part of server.Principal.
func (p *Principal) Patterns(v server.Verb) (out []string) {
	for _, x := range p.entry.Scope.of(v) {
		out = append(out, string(x))
	}
	return out
}

// Rates is part of server.Principal.
func (p *Principal) Rates() server.Rates {
	return server.Rates{Calls: p.entry.CallsPerSecond, Bytes: float64(p.entry.BytesPerSecond)}
}
