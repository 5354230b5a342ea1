package storagetest

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// OpenLog opens the store of node in a directory, and makes it if there is none.
// The caller closes it, and opens it again with the same directory; a store that
// lives in the process keeps it under the directory's name.
type OpenLog func(dir string, node membership.NodeID) (storage.LogStore, error)

// LogStore runs the suite of log stores. Their limits must allow batches of 1
// MiB.
func LogStore(t *testing.T, open OpenLog) {
	cases := []struct {
		name string
		run  func(*home)
	}{
		{"InitialState", initialState},
		{"SaveHardState", saveHardState},
		{"EveryFieldOfTheHardState", everyFieldOfTheHardState},
		{"SaveCommit", saveCommit},
		{"AppendToLog", appendToLog},
		{"AppendEmptyData", appendEmptyData},
		{"ReadEntries", readEntries},
		{"LimitedRead", limitedRead},
		{"ReadOutside", readOutside},
		{"LastIDInLog", lastIDInLog},
		{"TimeOfLastEntry", timeOfLastEntry},
		{"TermRuns", termRuns},
		{"StateAfterPurge", stateAfterPurge},
		{"PurgeBeyondTheEnd", purgeBeyondTheEnd},
		{"PurgeTwice", purgeTwice},
		{"TruncateFrom", truncateFrom},
		{"TruncateThroughBatches", truncateThroughBatches},
		{"TruncateToThePurged", truncateToThePurged},
		{"TruncateManyTimes", truncateManyTimes},
		{"Reset", reset},
		{"ResetInsideTheLog", resetInsideTheLog},
		{"ConfigurationsInitial", configurationsInitial},
		{"ConfigurationsMultiStep", configurationsMultiStep},
		{"ConfigurationsAfterReset", configurationsAfterReset},
		{"ConfigurationsAfterTruncate", configurationsAfterTruncate},
		{"ConfigurationsAfterPurge", configurationsAfterPurge},
		{"ConfigurationDamaged", configurationDamaged},
		{"HoleRefused", holeRefused},
		{"LowerTermRefused", lowerTermRefused},
		{"OperationsInOrder", operationsInOrder},
		{"AllPartsOfAnOperation", allPartsOfAnOperation},
		{"GroupsIndependent", groupsIndependent},
		{"ManyGroupsInABatch", manyGroupsInABatch},
		{"EntryAtTheLimit", entryAtTheLimit},
		{"BatchAtTheLimits", batchAtTheLimits},
		{"BeyondTheLimits", beyondTheLimits},
		{"BatchBelongsToTheCaller", batchBelongsToTheCaller},
		{"EmptyBatch", emptyBatch},
		{"ContextCancelled", contextCancelled},
		{"ReadersBesideWrites", readersBesideWrites},
		{"ReadersBesidePurges", readersBesidePurges},
		{"Header", header},
		{"ReopenKeepsEverything", reopenKeepsEverything},
		{"StartCounterRises", startCounterRises},
		{"PromiseKept", promiseKept},
		{"PromiseLowered", promiseLowered},
		{"PromiseOfEveryLength", promiseOfEveryLength},
		{"PromiseBesideWrites", promiseBesideWrites},
		{"Refused", refused},
		{"RefusedForTheFirstReason", refusedForTheFirstReason},
		{"RefusedWithoutAReason", refusedWithoutAReason},
		{"RefusedForALongReason", refusedForALongReason},
		{"PeersKept", peersKept},
		{"PeerReplaced", peerReplaced},
		{"PeerOfALowerCounter", peerOfALowerCounter},
		{"PeerOfAnotherNonce", peerOfAnotherNonce},
		{"PeerThatIsNone", peerThatIsNone},
		{"PeersBelongToTheCaller", peersBelongToTheCaller},
		{"PeersForgotten", peersForgotten},
		{"PeersBesideWrites", peersBesideWrites},
		{"OtherNodeRefused", otherNodeRefused},
		{"OtherIncarnation", otherIncarnation},
		{"Closed", closed},
		{"RandomOperations", randomOperations},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
			h.open()
			defer h.close()
			c.run(h)
		})
	}
}

const node = membership.NodeID(3)

// home is a store under test with the model of what it must hold.
type home struct {
	*testing.T
	opener OpenLog
	dir    string
	store  storage.LogStore
	model  model
}

func (h *home) open() {
	h.Helper()
	store, err := h.opener(h.dir, node)
	if err != nil {
		h.Fatal(err)
	}
	h.store = store
}

func (h *home) close() {
	h.Helper()
	if h.store == nil {
		return
	}
	if err := h.store.Close(); err != nil {
		h.Error(err)
	}
	h.store = nil
}

func (h *home) reopen() {
	h.Helper()
	h.close()
	h.open()
}

// write writes one batch, to the store and to the model.
func (h *home) write(operations ...storage.Operation) {
	h.Helper()
	batch := &storage.Batch{Operations: operations}
	if err := h.store.Write(h.Context(), batch); err != nil {
		h.Fatal(err)
	}
	h.model.write(batch)
}

// append writes commands of one term to group 1, from index first on.
func (h *home) append(term core.Term, first core.Index, n int) {
	h.Helper()
	h.write(storage.Operation{Group: 1, Append: commands(term, first, n, 40)})
}

// check compares the store with the model, before and after opening it again.
func (h *home) check() {
	h.Helper()
	if err := h.model.differs(h.T, h.store); err != nil {
		h.Fatal(err)
	}
	h.reopen()
	if err := h.model.differs(h.T, h.store); err != nil {
		h.Fatalf("opened again: %v", err)
	}
}

func (h *home) load(group membership.GroupID) storage.State {
	h.Helper()
	s, err := h.store.Load(h.Context(), group)
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// checkState compares Load of group 1 with what a case says, so that not the
// model alone decides.
func (h *home) checkState(purged, last core.LogID) {
	h.Helper()
	if s := h.load(1); s.Purged != purged || s.Last != last {
		h.Fatalf("log (%v, %v], want (%v, %v]", s.Purged, s.Last, purged, last)
	}
	h.check()
}

// refused writes a batch that the store must refuse, and checks that nothing of
// it happened.
func (h *home) refused(operations ...storage.Operation) {
	h.Helper()
	if err := h.store.Write(h.Context(), &storage.Batch{Operations: operations}); err == nil {
		h.Fatal("the batch was accepted")
	}
	h.reopen() // an error is final
	h.check()
}

func id(term core.Term, index core.Index) core.LogID { return core.LogID{Term: term, Index: index} }
