// Package wire says how a node's errors travel: an error becomes a status with a
// tinepb.Error in its details, and the status becomes an error again for which
// errors.Is and errors.As hold as they did on the node, with the engine's own values.
// It knows nothing of services, connections or permissions.
//
// The life of one error:
//
//  1. The engine, or the server, returns an error; ToStatus finds its kinds and
//     the code that stands for the first (kinds.go, status.go).
//  2. grpc carries code and details.
//  3. The client's FromStatus makes an Error of it, which matches the values of
//     all kinds that it came with.
//
// Files in reading order: errors.go, kinds.go, status.go, hiding.go.
package wire
