package claim

import (
	"errors"
	"testing"
)

type store interface{ use() }

type disk struct{ _ int }

func (*disk) use() {}

// wrapper cannot be compared, and wraps in a field that is exported; hidden wraps in one
// that is not.
type wrapper struct {
	store
	_ func()
}

type hidden struct {
	_     func()
	inner store
}

func (hidden) use() {}

// unclaimable is a store of its own that cannot be compared.
type unclaimable struct{ _ func() }

func (unclaimable) use() {}

// TestClaims: whatever wraps a store stands for it, and two stores are two.
func TestClaims(t *testing.T) {
	taken := errors.New("taken")
	why := func() error { return taken }
	d := &disk{}
	for name, value := range map[string]store{"itself": d, "wrapped": wrapper{store: d}, "hidden": hidden{inner: d}, "wrapped twice": wrapper{store: hidden{inner: d}}} {
		release, err := Take[store](value, why)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for again, other := range map[string]store{"itself": d, "wrapped": wrapper{store: d}, "hidden": hidden{inner: d}} {
			if _, err := Take[store](other, nil); !errors.Is(err, taken) {
				t.Errorf("%s is claimed, and %s can be: %v", name, again, err)
			}
		}
		if err := Held(d); !errors.Is(err, taken) {
			t.Errorf("%s is claimed, and what it wraps is not held: %v", name, err)
		}
		free, err := Take[store](&disk{}, why)
		if err != nil {
			t.Errorf("another store cannot be claimed: %v", err)
		}
		free()
		release()
		if err := Held(d); err != nil {
			t.Errorf("%s was released, and is held: %v", name, err)
		}
	}
	first, err := Take[store](d, why)
	if err != nil {
		t.Fatal(err)
	}
	first()
	second, err := Take[store](d, why)
	if err != nil {
		t.Fatal(err)
	}
	first() // for the second time
	if Held(d) == nil {
		t.Error("who has released has released another's claim")
	}
	second()
	if _, err := Take[store](unclaimable{}, why); err != nil {
		t.Error(err)
	}
}
