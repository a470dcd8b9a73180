package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// A token is tine_NAME_SECRET. The name tells whose it is, so that one that leaks can
// be taken out of the file; the prefix lets scanners for leaked secrets find it.
const (
	tokenPrefix = "tine_"
	secretBytes = 32

	// MaxTokenBytes is how long a token may be; a longer one is refused unread.
	MaxTokenBytes = len(tokenPrefix) + maxNameBytes + 1 + 64
	maxNameBytes  = 64
)

// Hash is what the file holds of a token.
type Hash [sha256.Size]byte

// HashToken hashes a token as the file holds it.
func HashToken(token string) Hash { return sha256.Sum256([]byte(token)) }

// Issue makes a token, and the entry for it with fields as they stand in a file. The
// token is kept nowhere.
func Issue(name string, fields ...string) (token string, e Entry, err error) {
	if err := checkName(name); err != nil {
		return "", Entry{}, err
	}
	e.Name = name
	for _, f := range fields {
		if err := e.set(f); err != nil {
			return "", Entry{}, err
		}
	}
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // it never fails: without randomness the process ends
	token = tokenPrefix + name + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
	hash := HashToken(token)
	e.Hash = &hash
	return token, e, nil
}

// nameIn gives the name in a token, "" if it is none.
func nameIn(token string) string {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(token) > MaxTokenBytes {
		return ""
	}
	name, _, ok := strings.Cut(rest, "_")
	if !ok {
		return ""
	}
	return name
}

// checkName tells whether a name may stand in the file and in a token: 1 to 64 of
// a-z 0-9 and -, so that it ends at the underscore that follows it.
func checkName(name string) error {
	if name == "" || len(name) > maxNameBytes {
		return fmt.Errorf("the name %q does not have 1 to %d characters", name, maxNameBytes)
	}
	if name == server.Anybody {
		return fmt.Errorf("the name %q is that of whom nobody asks for a name", name)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("the name %q has characters other than a-z 0-9 and -", name)
		}
	}
	return nil
}
