package model

import "iter"

// Map is an immutable sorted map from strings to V: Set and Delete give another
// Map and leave this one alone. The zero value is empty. It may be used
// concurrently.
//
// It is a treap whose priorities are hashes of the keys, so equal contents have
// equal shapes however they came about. Set and Delete copy one path.
type Map[V any] struct {
	root *node[V]
}

type node[V any] struct {
	key         string
	value       V
	priority    uint64
	size        int
	left, right *node[V]
}

// Len tells how many keys there are.
func (m Map[V]) Len() int { return m.root.count() }

// Get gives the value of key.
func (m Map[V]) Get(key string) (value V, found bool) {
	for n := m.root; n != nil; {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value, true
		}
	}
	return value, false
}

// Set gives the map in which key has value.
func (m Map[V]) Set(key string, value V) Map[V] {
	below, above := m.root.split(key)
	_, above = above.split(key + "\x00")
	one := &node[V]{key: key, value: value, priority: hash(key), size: 1}
	return Map[V]{join(join(below, one), above)}
}

// Delete gives the map in which key has no value.
func (m Map[V]) Delete(key string) Map[V] {
	after := key + "\x00"
	return m.Without(Range{Lower: &key, Upper: &after})
}

// Without gives the map without the keys in r.
func (m Map[V]) Without(r Range) Map[V] {
	if r.Empty() {
		return m
	}
	var below, above *node[V]
	if r.Lower != nil {
		below, _ = m.root.split(*r.Lower)
	}
	if r.Upper != nil {
		_, above = m.root.split(*r.Upper)
	}
	return Map[V]{join(below, above)}
}

// Within gives the map with only the keys in r.
func (m Map[V]) Within(r Range) Map[V] {
	n := m.root
	if r.Lower != nil {
		_, n = n.split(*r.Lower)
	}
	if r.Upper != nil {
		n, _ = n.split(*r.Upper)
	}
	return Map[V]{n}
}

// At gives the i-th key and its value, counted from 0.
func (m Map[V]) At(i int) (string, V) {
	n := m.root
	for {
		before := n.left.count()
		switch {
		case i < before:
			n = n.left
		case i > before:
			i -= before + 1
			n = n.right
		default:
			return n.key, n.value
		}
	}
}

// Rank tells how many keys are below key; it is the place of the first key that
// is not.
func (m Map[V]) Rank(key string) int {
	rank := 0
	for n := m.root; n != nil; {
		if n.key < key {
			rank += n.left.count() + 1
			n = n.right
		} else {
			n = n.left
		}
	}
	return rank
}

// All gives keys and values in rising order.
func (m Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { m.root.walk(yield) }
}

// Keys gives the keys in rising order.
func (m Map[V]) Keys() []string {
	keys := make([]string, 0, m.Len())
	for key := range m.All() {
		keys = append(keys, key)
	}
	return keys
}

func (n *node[V]) walk(yield func(string, V) bool) bool {
	return n == nil || n.left.walk(yield) && yield(n.key, n.value) && n.right.walk(yield)
}

func (n *node[V]) count() int {
	if n == nil {
		return 0
	}
	return n.size
}

// with copies n with other children.
func (n *node[V]) with(left, right *node[V]) *node[V] {
	c := *n
	c.left, c.right, c.size = left, right, left.count()+right.count()+1
	return &c
}

// split parts the tree into the keys below key and the others.
func (n *node[V]) split(key string) (below, above *node[V]) {
	if n == nil {
		return nil, nil
	}
	if n.key < key {
		a, b := n.right.split(key)
		return n.with(n.left, a), b
	}
	a, b := n.left.split(key)
	return a, n.with(b, n.right)
}

// join puts two trees together; every key of a is below every key of b.
func join[V any](a, b *node[V]) *node[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority || a.priority == b.priority && a.key > b.key:
		return a.with(a.left, join(a.right, b))
	default:
		return b.with(join(a, b.left), b.right)
	}
}

// hash is FNV-1a with a last mix, so that similar keys get unlike priorities.
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= h >> 32
	return h * 0x9e3779b97f4a7c15
}
