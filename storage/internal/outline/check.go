package outline

import (
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// CheckOperation returns an error that names why op cannot be carried out on a
// log that begins after purged and ends with last. at returns the id of an
// entry of the log, or purged.
func CheckOperation(op *storage.Operation, purged, last core.LogID, at func(core.Index) core.LogID) error {
	if op.Group == 0 {
		return errors.New("an operation of group 0")
	}
	if op.Reset.Index != 0 {
		if op.Reset.Index < purged.Index {
			return fmt.Errorf("reset to %v below the purged %v", op.Reset, purged)
		}
		purged, last = op.Reset, op.Reset
		at = func(core.Index) core.LogID { return op.Reset }
	}
	if op.TruncateFrom != 0 && op.TruncateFrom <= last.Index {
		if op.TruncateFrom <= purged.Index {
			return fmt.Errorf("truncation from %d at or below the purged %v", op.TruncateFrom, purged)
		}
		last = at(op.TruncateFrom - 1)
	}
	return Check(last, op.Append)
}

// CheckLimits returns an error that names the limit that batch breaks.
func CheckLimits(batch *storage.Batch, limits storage.Limits) error {
	entries, bytes := 0, 0
	for i := range batch.Operations {
		appended := batch.Operations[i].Append
		entries += len(appended)
		for j := range appended {
			bytes += appended[j].Size()
			if n := len(appended[j].Data); n > limits.EntryBytesMax {
				return fmt.Errorf("entry %v of %d bytes, at most %d", appended[j].LogID, n, limits.EntryBytesMax)
			}
		}
	}
	switch {
	case bytes > limits.BatchBytesMax:
		return fmt.Errorf("a batch of %d bytes, at most %d", bytes, limits.BatchBytesMax)
	case entries > limits.BatchEntriesMax:
		return fmt.Errorf("a batch of %d entries, at most %d", entries, limits.BatchEntriesMax)
	}
	return nil
}
