package simulation

import "github.com/trouperaft/troupe/core"

// transferWatch is what a witness remembers of transfers of snapshots.
type transferWatch struct {
	// receiving is the snapshot whose pieces come, zero if none is unfinished.
	receiving core.LogID
	// answered are the transfers to others that were answered.
	answered map[uint64]bool
}

// takesChunk looks at a piece of a snapshot.
func (w *witness) takesChunk(m *core.SnapshotChunk) {
	t := &w.transfers
	w.sees(chunkInInstall, w.writes.installing && m.Header.Term == w.after.Term)
	if m.Header.Term != w.after.Term || w.writes.installing || m.Meta.Index <= w.after.Committed {
		return
	}
	w.sees(transferReplaced, t.receiving.Index != 0 && t.receiving != m.Meta.LogID)
	t.receiving = m.Meta.LogID
	if m.Done {
		t.receiving = core.LogID{}
	}
}

// receives looks at a snapshot that is there.
func (w *witness) receives(ev *core.SnapshotReceived) {
	if w.after.SnapshotIndex == ev.Meta.Index && w.before.SnapshotIndex < ev.Meta.Index {
		w.sees(jointSnapshotInstalled, ev.Meta.Configuration.Configuration.Joint())
		w.sees(snapshotToStranger, w.before.Cluster.IsZero())
	}
}

// resumes looks at the first answer to a transfer.
func (w *witness) resumes(m *core.SnapshotResponse) {
	if !w.transfers.answered[m.Transfer] {
		w.transfers.answered[m.Transfer] = true
		w.sees(transferResumed, !m.Refused && m.Offset > 0)
	}
}

// crashes looks at a life that ends.
func (w *witness) crashes() { w.sees(crashInInstall, w.writes.installing) }

// loses looks at a message that will not arrive.
func (w *witness) loses(m core.Message) { w.sees(installAnswerLost, w.writes.withReset[m]) }
