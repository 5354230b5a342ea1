package snapshots

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Jobs starts and stops the actors that build, send and receive snapshots for a
// group. It is the core actor's: all methods but Answered and Progress are called
// in its turns.
type Jobs struct {
	group    *Group
	builder  *builder // the one that was started last
	senders  []*sender
	receiver *receiver
	// exporters are those that have not ended, and some that have.
	exporters []*exporter
	// troubles are the peers to which no snapshot gets through.
	troubles map[core.Identity]*trouble
	// table is the senders by their transfers, for others to read.
	table atomic.Pointer[map[uint64]*sender]
}

// NewJobs returns the jobs of a group, of which there are none yet.
func NewJobs(g *Group) *Jobs {
	j := &Jobs{group: g, troubles: make(map[core.Identity]*trouble)}
	j.publish()
	return j
}

// Build writes a view of the state machine out. meta says what of: its size and
// checksum are found out. The view is closed whatever happens.
func (j *Jobs) Build(meta core.SnapshotMeta, view storage.SnapshotView) {
	j.builder = newBuilder(j.group, meta, view)
	j.group.Spawn(&j.builder.Shell)
	j.builder.Wake()
}

// Export writes a view of the state machine to somebody outside. The view is closed
// whatever happens.
func (j *Jobs) Export(meta core.SnapshotMeta, view storage.SnapshotView, export *Export) {
	j.exporters = slices.DeleteFunc(j.exporters, func(e *exporter) bool { return e.Over() })
	e := newExporter(j.group, meta, view, export)
	j.exporters = append(j.exporters, e)
	j.group.Spawn(&e.Shell)
	e.Wake()
}

// Send sends the newest snapshot to a stream's peer: in its turn among all groups of
// the node, and in place of what was sent to it before. If the last ones failed it begins
// after a pause.
func (j *Jobs) Send(cmd *core.SendSnapshot) {
	j.StreamStopped(cmd.Peer.Identity, cmd.Stream) // one at a time
	s := newSender(j.group, cmd)
	j.senders = append(j.senders, s)
	j.publish()
	t := j.troubles[s.peer]
	s.told = t != nil
	j.group.Spawn(&s.Shell)
	if t == nil {
		j.group.Gate.enter(s)
		return
	}
	s.pause = j.group.Env.AfterFunc(t.pause, func() { j.group.Gate.enter(s) })
}

// StreamStopped ends what is sent to a stream's peer. It is also called for a
// transfer that has ended by itself.
func (j *Jobs) StreamStopped(peer core.Identity, stream uint64) {
	for i, s := range j.senders {
		if s.peer == peer && s.cmd.Stream == stream {
			s.Stop()
			j.senders = slices.Delete(slices.Clone(j.senders), i, i+1)
			j.publish()
			return
		}
	}
}

// PeerDown ends what is sent to a node whose connection broke. Another life of it may
// have room.
func (j *Jobs) PeerDown(node membership.NodeID) {
	maps.DeleteFunc(j.troubles, func(peer core.Identity, _ *trouble) bool { return peer.ID == node })
	for _, s := range j.senders {
		if s.peer.ID == node {
			s.inbox.Put(senderItem{down: true}, true)
		}
	}
}

// Receive takes in a piece that the engine has let through.
func (j *Jobs) Receive(m *core.SnapshotChunk) {
	if j.receiver == nil {
		j.receiver = newReceiver(j.group)
		j.group.Spawn(&j.receiver.Shell)
	}
	j.receiver.inbox.Put(m, true)
}

// Stop ends all jobs.
func (j *Jobs) Stop() {
	if j.builder != nil {
		j.builder.Stop()
	}
	for _, e := range j.exporters {
		e.Stop()
	}
	j.exporters = nil
	for _, s := range j.senders {
		s.Stop()
	}
	j.senders = nil
	j.publish()
	if j.receiver != nil {
		j.receiver.Stop()
	}
}

// publish lets others see who sends.
func (j *Jobs) publish() {
	table := make(map[uint64]*sender, len(j.senders))
	for _, s := range j.senders {
		table[s.transfer] = s
	}
	j.table.Store(&table)
}

// Answered hands a receiver's answer to its sender, if that is still there. Anybody
// may call it.
func (j *Jobs) Answered(m *core.SnapshotResponse) {
	if s := (*j.table.Load())[m.Transfer]; s != nil && m.To == j.group.Self {
		s.inbox.Put(senderItem{response: m}, true)
	}
}

// Progress returns how much of a snapshot a peer has acknowledged and how long the
// snapshot is, in bytes; ok is false if none is on its way. Anybody may call it.
func (j *Jobs) Progress(peer core.Identity) (sent, total uint64, ok bool) {
	for _, s := range *j.table.Load() {
		if s.peer == peer {
			return s.figures.sent.Load(), s.figures.total.Load(), true
		}
	}
	return 0, 0, false
}
