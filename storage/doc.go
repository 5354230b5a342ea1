// Package storage holds the contracts of everything that a node keeps: the log
// store, the state machine and the snapshot files.
//
// The methods of the contracts may block. The doc of each contract says which
// actor of the runtime calls it. The core, which never waits, calls none.
//
// There are three implementations. storage/memory keeps everything in the
// process. storage/badger keeps logs and hard states of all groups of a node in
// one badger database. storage/files keeps snapshots as files.
// storage/fileset is for state machines that keep their state in files.
// storage/storagetest is the suite that an implementation has to pass.
package storage
