package actors

import (
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
)

// logNotice is how far the log reaches and is committed, on its way to the streams.
// New entries go at the end of the burst that brought them. A commit index alone
// waits for more entries to travel with, for commitNoticeDelay at most.
type logNotice struct {
	pending stream.Grown
	// notified is the end of the log that all streams know of.
	notified core.Index
	// waits: a timer runs for a commit index alone.
	waits bool
}

// commitNoticeDelay is for how long the notice that entries are committed waits
// for more entries to travel with. While writes follow each other, it then
// costs no messages of its own; nobody waits for it but a follower's state
// machine.
const commitNoticeDelay = time.Millisecond

// note takes what the engine says.
func (n *logNotice) note(r *core.Replicate) {
	n.pending = stream.Grown{Last: r.Last, Commit: r.Commit}
}

// hasEntries reports whether there are entries that the streams do not know of.
func (n *logNotice) hasEntries() bool { return n.pending.Last > n.notified }

// take returns what the streams are to be told, ok is false if there is nothing.
func (n *logNotice) take() (grown stream.Grown, ok bool) {
	if n.pending == (stream.Grown{}) {
		return grown, false
	}
	grown = n.pending
	n.notified, n.pending = grown.Last, stream.Grown{}
	return grown, true
}

// streamStarts lets a stream that is about to start be told of all entries in this
// burst.
func (n *logNotice) streamStarts() { n.notified = 0 }

// delay reports whether a timer has to be started for what is left, and takes it as
// started.
func (n *logNotice) delay() bool {
	if n.waits || n.pending == (stream.Grown{}) {
		return false
	}
	n.waits = true
	return true
}

// due: the timer has fired.
func (n *logNotice) due() { n.waits = false }
