package actors

import (
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
)

// streams are the replication actors of a group, in the order of their start. They
// are the core actor's: it starts and stops them. Others may read the table.
type streams struct {
	replicationNeeds
	// spawn starts an actor that ends before the group does.
	spawn   func(*stage.Shell)
	running []*replicationActor
	table   atomic.Pointer[map[streamKey]*replicationActor]
}

func newStreams(needs replicationNeeds, spawn func(*stage.Shell)) *streams {
	s := &streams{replicationNeeds: needs, spawn: spawn}
	s.publish()
	return s
}

// start begins a stream.
func (s *streams) start(cmd *core.StartStream) {
	a := newReplicationActor(s.replicationNeeds, cmd)
	s.running = append(s.running, a)
	s.spawn(&a.Shell)
	s.publish()
}

// stop ends a stream.
func (s *streams) stop(key streamKey) {
	for i, a := range s.running {
		if a.key == key {
			s.running = append(s.running[:i:i], s.running[i+1:]...)
			s.publish()
			a.Stop()
			return
		}
	}
}

// stopAll ends all of them.
func (s *streams) stopAll() {
	for _, a := range s.running {
		a.Stop()
	}
	s.running = nil
	s.publish()
}

// find returns a stream, nil if it does not run. Anybody may call it.
func (s *streams) find(key streamKey) *replicationActor { return (*s.table.Load())[key] }

// answered hands a follower's answer to its stream, if that runs. Anybody may call
// it.
func (s *streams) answered(m *core.AppendResponse) {
	if a := s.find(streamKey{m.From, m.Stream}); a != nil && m.To == s.self {
		a.inbox.Put(stream.Answered{Response: m}, true)
	}
}

// publish lets others see where the answers to streams go.
func (s *streams) publish() {
	table := make(map[streamKey]*replicationActor, len(s.running))
	peers := make([]core.Identity, 0, len(s.running))
	for _, a := range s.running {
		table[a.key] = a
		peers = append(peers, a.key.peer)
	}
	s.table.Store(&table)
	observe.Streams{Peers: peers}.Tell(s.watch)
}
