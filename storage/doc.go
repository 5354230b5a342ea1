// Package storage holds the contracts of what a node keeps: the log store, the
// state machine and the snapshot files.
//
// The contracts are plain blocking Go. Each is called by one actor of the
// runtime, as its doc says; none is called by the core, which never waits.
//
// Implementations: storage/memory keeps everything in the process,
// storage/badger keeps log and hard states in one badger database for all
// groups of a node, storage/files keeps snapshots as files.
// storage/storagetest is the suite that an implementation has to pass.
package storage
