// Package ops is the operations that the tests do to a store: their type, their
// text form, the values they write, the generator that draws them from a seed
// and the shrinker that cuts a failing list down.
//
// It runs nothing: package fuzz does the operations to a real store, and Apply
// tells what they do to the model. An operation that makes no sense, on a fork
// that was dropped for instance, is still an operation: both sides must refuse
// it in the same way. That is what lets the shrinker leave any line out.
//
// The life of one run:
//
//  1. A Generator draws operations from a seed and a Profile. The same seed gives
//     the same list.
//  2. The test does them one by one, and by the list's text form anybody else can.
//  3. If one goes wrong, Shrink leaves out what is not needed for it.
//  4. What remains is saved with Format and from then on replayed for ever.
//
// Files in reading order: op.go, text.go, value.go, apply.go, profile.go,
// generate.go, target.go, ranges.go, floods.go, shrink.go.
package ops
