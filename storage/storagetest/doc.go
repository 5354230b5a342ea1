// Package storagetest is the suite that implementations of the contracts of
// package storage have to pass. Call it from your own tests:
//
//	func TestLogStore(t *testing.T) {
//		storagetest.LogStore(t, func(dir string, node membership.NodeID) (storage.LogStore, error) {
//			return mystore.Open(dir, node)
//		})
//	}
//
// LogStore is for every log store. DurableLogStore and KillLogStore are for a
// store that keeps its data in a directory: the first damages copies of the
// directory, the second kills a process that writes to it. InspectLogStore
// opens stores for inspection only. SnapshotStore and StateMachine are for the
// other two contracts. BenchmarkLogStore measures appends. Workload is for a test
// of your own that takes the process or the machine away from a store: it writes a
// history, and Find tells another process how much of it the store holds.
//
// LogStore writes what is small and what is much: thousands of entries, term
// runs and configurations, the largest configuration, numbers up to 2^62 (rule
// 32), entries and batches at the limits. What it reads beside writes must be
// what was there at one moment. After a write that failed it looks for what is
// left of it, before and after the next opening. Each part of an operation is
// written alone, and the store opened again at once. A case that fails says after
// what, what was called and what it expected. The tests of this package have a
// wrong store for each of these.
//
// DurableLogStore accepts one kind of loss, which no store can detect: damage
// of the disk that removes exactly the newest batches, none of them with a hard
// state, a promise or a refusal, within the time by which a store's watermark
// may be late. What is left must then be the state after some batch, the same
// batch in all groups, and not older than the last hard state. If a whole file
// was removed, all peers may be gone too.
package storagetest
