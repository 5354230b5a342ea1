// Package powerloss takes the power from under the durable stores, on real file systems,
// and looks at what the disk is left with. It needs root, FUSE and loop devices, on
// Linux, and so it runs only if it is told to:
//
//	go test ./internal/powerloss -v -timeout 0 -args -powerloss
//
// The page powerloss.md of the guide says what it does and what it has shown.
package powerloss
