package main

import (
	"sync"
	"sync/atomic"
)

// startHogs lets n goroutines compute until stop is called: the part of a real
// service that is not the cluster.
func startHogs(n int) (stop func()) {
	var over atomic.Bool
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for x := uint32(1); !over.Load(); {
				for range 1000 {
					x = x*1664525 + 1013904223
				}
			}
		})
	}
	return func() {
		over.Store(true)
		running.Wait()
	}
}
