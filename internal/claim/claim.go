// Package claim keeps a value, such as an open store, from being used by two at a time
// in one process, and from being closed while it is used.
//
// It is about what hangs (rule 28 of package core): a node whose call does not return
// goes on using its store, though nobody waits for the node any more.
package claim

import (
	"reflect"
	"sync"
)

var (
	mu     sync.Mutex
	claims = make(map[any]*holder)
)

// holder is who has claimed a value. why says why it is not free; it must not use this
// package.
type holder struct{ why func() error }

// Take claims a value, until release is called, once or more often. If somebody has it,
// Take returns what that one's why says.
//
// A struct that wraps another value of the interface I, in a field of that type, stands
// for what it wraps. What cannot be compared otherwise cannot be claimed: then Take
// succeeds, and keeps nobody away.
func Take[I any](value I, why func() error) (release func(), err error) {
	key, ok := keyOf[I](value)
	if !ok {
		return func() {}, nil
	}
	mu.Lock()
	other := claims[key]
	own := &holder{why}
	if other == nil {
		claims[key] = own
	}
	mu.Unlock()
	if other != nil {
		return nil, other.why()
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if claims[key] == own {
			delete(claims, key)
		}
	}, nil
}

// Held returns why a value, which must be comparable, is not free; nil if it is.
func Held(value any) error {
	mu.Lock()
	h := claims[value]
	mu.Unlock()
	if h == nil {
		return nil
	}
	return h.why()
}

// keyOf returns what stands for a value.
func keyOf[I any](value I) (key any, ok bool) {
	v, wanted := reflect.ValueOf(value), reflect.TypeFor[I]()
	for v.Kind() == reflect.Struct {
		inner := wrapped(v, wanted)
		if !inner.IsValid() {
			break
		}
		v = inner
	}
	switch {
	case !v.IsValid() || !v.Comparable():
		return nil, false
	case v.CanInterface():
		return v.Interface(), true
	case v.Kind() == reflect.Pointer:
		// In a field that is not exported. The value is used as long as it is claimed, so
		// that nothing else gets its address.
		return reflect.NewAt(v.Type().Elem(), v.UnsafePointer()).Interface(), true
	}
	return nil, false
}

// wrapped returns what a struct wraps, the zero Value if nothing.
func wrapped(v reflect.Value, wanted reflect.Type) reflect.Value {
	for i := range v.NumField() {
		if f := v.Field(i); f.Type() == wanted && !f.IsNil() {
			return f.Elem()
		}
	}
	return reflect.Value{}
}
