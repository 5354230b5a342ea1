// Package storagetest is the suite that implementations of the contracts of
// storage have to pass. An implementer calls it from tests of their own:
//
//	func TestLogStore(t *testing.T) {
//		storagetest.LogStore(t, func(dir string, node membership.NodeID) (storage.LogStore, error) {
//			return mystore.Open(dir, node)
//		})
//	}
//
// LogStore is for every log store. DurableLogStore damages copies of the
// directory of one that keeps its data there, and KillLogStore kills a process
// that writes to it. InspectLogStore opens stores for inspection only.
// SnapshotStore and StateMachine are for the other two
// contracts, BenchmarkLogStore measures appends.
//
// DurableLogStore accepts one kind of loss: damage of a disk that takes away
// exactly the newest batches, none of them with a hard state, a promise or a
// refusal, within the time that a store's watermark may be late. No store can
// detect it. What is left
// must then be the state after some batch, in all groups alike, and not be
// older than the last hard state. Where a whole file was removed, the peers may
// be gone, all of them.
package storagetest
