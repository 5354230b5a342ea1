package storagetest

import (
	"fmt"
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
	for _, c := range logStoreCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
			h.open()
			defer h.close()
			c.run(h)
		})
	}
}

var logStoreCases = []struct {
	name string
	run  func(*home)
}{
	{"InitialState", initialState},
	{"SaveHardState", saveHardState},
	{"EveryFieldOfTheHardState", everyFieldOfTheHardState},
	{"SaveCommit", saveCommit},
	{"EachPartAlone", eachPartAlone},
	{"AppendToLog", appendToLog},
	{"AppendEmptyData", appendEmptyData},
	{"EveryFieldOfAnEntry", everyFieldOfAnEntry},
	{"ReadEntries", readEntries},
	{"ReadManyEntries", readManyEntries},
	{"LimitedRead", limitedRead},
	{"LimitedReadOfManyBytes", limitedReadOfManyBytes},
	{"ReadOutside", readOutside},
	{"ReadsStayAsTheyAre", readsStayAsTheyAre},
	{"LoadsStayAsTheyAre", loadsStayAsTheyAre},
	{"LastIDInLog", lastIDInLog},
	{"TimeOfLastEntry", timeOfLastEntry},
	{"TermRuns", termRuns},
	{"ManyTermRuns", manyTermRuns},
	{"StateAfterPurge", stateAfterPurge},
	{"PurgeBeyondTheEnd", purgeBeyondTheEnd},
	{"PurgeTwice", purgeTwice},
	{"PurgeManyEntries", purgeManyEntries},
	{"TruncateFrom", truncateFrom},
	{"TruncateThroughBatches", truncateThroughBatches},
	{"TruncateToThePurged", truncateToThePurged},
	{"TruncateManyTimes", truncateManyTimes},
	{"TruncateManyEntries", truncateManyEntries},
	{"Reset", reset},
	{"ResetInsideTheLog", resetInsideTheLog},
	{"ConfigurationsInitial", configurationsInitial},
	{"ConfigurationsMultiStep", configurationsMultiStep},
	{"ConfigurationsAfterReset", configurationsAfterReset},
	{"ConfigurationsAfterTruncate", configurationsAfterTruncate},
	{"ConfigurationsAfterPurge", configurationsAfterPurge},
	{"ConfigurationDamaged", configurationDamaged},
	{"ManyConfigurations", manyConfigurations},
	{"LargeConfiguration", largeConfiguration},
	{"HoleRefused", holeRefused},
	{"SizesOfTheEntries", sizesOfTheEntries},
	{"LowerTermRefused", lowerTermRefused},
	{"RefusedAsAWhole", refusedAsAWhole},
	{"RefusedAfterOthers", refusedAfterOthers},
	{"OperationsInOrder", operationsInOrder},
	{"AllPartsOfAnOperation", allPartsOfAnOperation},
	{"LargeNumbers", largeNumbers},
	{"GroupsIndependent", groupsIndependent},
	{"GroupsListed", groupsListed},
	{"ManyGroupsInABatch", manyGroupsInABatch},
	{"EntryAtTheLimit", entryAtTheLimit},
	{"BatchAtTheLimits", batchAtTheLimits},
	{"BeyondTheLimits", beyondTheLimits},
	{"BatchBelongsToTheCaller", batchBelongsToTheCaller},
	{"EmptyBatch", emptyBatch},
	{"ContextCancelled", contextCancelled},
	{"ReadersBesideWrites", readersBesideWrites},
	{"LoadsBesideWrites", loadsBesideWrites},
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
		h.Fatalf("Write: %v", err)
	}
	h.model.write(batch)
}

// fill appends entries to group 1, in batches of what the limits and 1 MiB
// allow.
func (h *home) fill(entries []core.Entry) {
	h.Helper()
	limits := h.store.Limits()
	for len(entries) > 0 {
		part, _ := core.Fitting(entries[:min(len(entries), limits.BatchEntriesMax)], min(limits.BatchBytesMax, 1<<20), 0)
		h.write(storage.Operation{Group: 1, Append: part})
		entries = entries[len(part):]
	}
}

// append writes commands of one term to group 1, from index first on.
func (h *home) append(term core.Term, first core.Index, n int) {
	h.Helper()
	h.write(storage.Operation{Group: 1, Append: commands(term, first, n, 40)})
}

// check compares the store with the model, before and after opening it again.
func (h *home) check() {
	h.Helper()
	if err := h.holds(); err != nil {
		h.Fatal(err)
	}
}

// checkAfter is check, and says after what it was.
func (h *home) checkAfter(format string, args ...any) {
	h.Helper()
	if err := h.holds(); err != nil {
		h.Fatalf("after %s: %v", fmt.Sprintf(format, args...), err)
	}
}

func (h *home) holds() error {
	h.Helper()
	if err := h.model.differs(h.T, h.store); err != nil {
		return err
	}
	h.reopen()
	if err := h.model.differs(h.T, h.store); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	return nil
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

func id(term core.Term, index core.Index) core.LogID { return core.LogID{Term: term, Index: index} }
