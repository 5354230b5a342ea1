// Package idle measures what idle groups cost: memory, goroutines and CPU of
// three processes that host the same groups.
//
//	go test ./internal/idle -v -run TestIdle -timeout 0 -args -groups=1000 -seconds=20
package idle
