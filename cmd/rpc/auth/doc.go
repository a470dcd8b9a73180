// Package auth knows who calls a node and what they may do: bearer tokens, or
// client certificates, with scopes, from a file.
//
// It is not a user database: it stores no passwords, issues nothing over the
// network and keeps no sessions. A token is 32 random bytes, so a plain SHA-256 of
// it is all that the file needs to hold, and nobody can turn that back.
//
// The life of one call:
//
//  1. The server hands over the token, or the name in the certificate that TLS has
//     verified.
//  2. Tokens finds the line of that name, and compares hashes in constant time. A
//     name that is not there costs the same comparison.
//  3. The Principal that comes back is asked for each fork that the call names; what
//     no scope allows is denied.
//
// The life of one change: the file is replaced, SIGHUP or the next look at it loads
// it whole, and calls that begin from then on meet the new table. A file that cannot
// be loaded changes nothing: the old table stays in force, and the failure is
// reported.
//
// Files in reading order: token.go, scope.go, entry.go, parse.go, principal.go,
// tokens.go, authorizer.go.
package auth
