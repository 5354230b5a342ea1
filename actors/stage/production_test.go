package stage

import "testing"

// TestYieldComesBack, from many goroutines at a time.
func TestYieldComesBack(t *testing.T) {
	done := make(chan struct{})
	const goroutines, yields = 8, 1000
	for range goroutines {
		go func() {
			for range yields {
				Production().Yield()
			}
			done <- struct{}{}
		}()
	}
	for range goroutines {
		await(t, done, "a goroutine that yields")
	}
}
