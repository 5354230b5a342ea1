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
// group. It is the core actor's: all methods but Answered, Progress and Receiving are
// called in its turns.
type Jobs struct {
	group    *Group
	builder  *builder // the one that was started last
	recorder *recorder
	senders  []*sender
	receiver *receiver
	// exporters are those that have not ended, and some that have.
	exporters []*exporter
	// troubles are the peers to which no snapshot gets through.
	troubles map[core.Identity]*trouble
	// table is the senders by their transfers, for others to read.
	table atomic.Pointer[map[uint64]*sender]
	// receiving is how far the snapshot is that is being received, nil if there is none.
	// The receiver sets it.
	receiving atomic.Pointer[figures]
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

// Record makes durable that the state machine itself holds what meta says, and removes the
// snapshots below an index. The store is a storage.Recorder.
func (j *Jobs) Record(meta core.SnapshotMeta, unneeded core.Index) {
	j.recorder = newRecorder(j.group, meta, unneeded)
	j.group.Spawn(&j.recorder.Shell)
	j.recorder.Wake()
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

// Send sends a snapshot to a stream's peer, the newest or the one to go on with: in its
// turn among all groups of the node, and in place of what was sent to it before. If the
// last ones failed it begins after a pause.
func (j *Jobs) Send(cmd *core.SendSnapshot) {
	if j.goOn(cmd) {
		return
	}
	j.StreamStopped(cmd.Peer.Identity, cmd.Stream) // one at a time
	s := newSender(j.group, cmd)
	j.senders = append(j.senders, s)
	j.publish()
	t := j.troubles[s.peer]
	s.told = t != nil
	j.group.Spawn(&s.Shell)
	if t == nil || t.left(j.group.Env.Now()) <= 0 {
		j.group.Gate.enter(s)
		return
	}
	s.pause = j.group.Env.AfterFunc(t.left(j.group.Env.Now()), func() { j.group.Gate.enter(s) })
}

// goOn lets a transfer go on that has stepped aside, and reports whether there is one of
// that snapshot.
func (j *Jobs) goOn(cmd *core.SendSnapshot) bool {
	s := j.sender(cmd.Peer.Identity, cmd.Stream)
	if s == nil {
		return false
	}
	aside := s.aside.Load()
	if aside == nil || *aside != cmd.Resume {
		return false
	}
	number := j.group.Gate.number()
	s.aside.Store(nil)
	if !s.inbox.Put(senderItem{again: cmd, transfer: number}, true) {
		return false // it has just ended
	}
	s.number = number
	j.publish()
	j.group.Gate.enter(s)
	return true
}

func (j *Jobs) sender(peer core.Identity, stream uint64) *sender {
	i := slices.IndexFunc(j.senders, func(s *sender) bool { return s.peer == peer && s.stream == stream })
	if i < 0 {
		return nil
	}
	return j.senders[i]
}

// StreamStopped ends what is sent to a stream's peer. It is also called for a
// transfer that has ended by itself.
func (j *Jobs) StreamStopped(peer core.Identity, stream uint64) {
	if s := j.sender(peer, stream); s != nil {
		s.Stop()
		j.senders = slices.DeleteFunc(slices.Clone(j.senders), func(o *sender) bool { return o == s })
		j.publish()
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
		j.receiver = newReceiver(j.group, &j.receiving)
		j.group.Spawn(&j.receiver.Shell)
	}
	j.receiver.inbox.Put(receiverItem{chunk: m}, true)
}

// Stop ends all jobs.
func (j *Jobs) Stop() {
	if j.builder != nil {
		j.builder.Stop()
	}
	if j.recorder != nil {
		j.recorder.Stop()
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
		table[s.number] = s
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

// Progress returns how far the transfer to a peer has come; ok is false if none is on its
// way. Anybody may call it.
func (j *Jobs) Progress(peer core.Identity) (p Progress, ok bool) {
	for _, s := range *j.table.Load() {
		if s.peer == peer {
			return s.figures.read(j.group.Env.Now()), true
		}
	}
	return Progress{}, false
}

// Receiving returns how far the snapshot has come that is being received; ok is false if
// none is. Anybody may call it.
func (j *Jobs) Receiving() (p Progress, ok bool) {
	f := j.receiving.Load()
	if f == nil {
		return Progress{}, false
	}
	return f.read(j.group.Env.Now()), true
}
