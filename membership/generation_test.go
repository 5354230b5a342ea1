package membership

import "testing"

// TestReplicas: those of one store are known by it, and differ from each other.
func TestReplicas(t *testing.T) {
	for _, store := range []Identity{{3, 1}, {3, 0x8000_0000_0000_0001}, {3, 0xffff_ffff_ffff_ffff}} {
		if store.Replica(0) != store {
			t.Errorf("the first of %v is %v", store, store.Replica(0))
		}
		seen := make(map[Identity]bool)
		for n := range uint16(1000) {
			r := store.Replica(n)
			if seen[r] || !r.SameStore(store) || !store.SameStore(r) || r.Store() != store.Store() || r.Incarnation == 0 {
				t.Errorf("replica %d of %v is %v", n, store, r)
			}
			seen[r] = true
		}
		for _, other := range []Identity{{4, store.Incarnation}, {3, store.Incarnation ^ 1}, {3, store.Incarnation ^ 1<<47}} {
			if store.SameStore(other) || store.Replica(5).SameStore(other) || store.Store() == other.Store() {
				t.Errorf("%v and %v are of one store", store, other)
			}
		}
	}
}
