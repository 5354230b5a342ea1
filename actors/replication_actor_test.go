package actors

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// streamRig is a replication actor that a test steps by hand, to a learner that
// knows no cluster. The log of three entries of term 1 is in the store alone.
type streamRig struct {
	env   *stagetest.Hand
	net   *sentNetwork
	actor *replicationActor
}

// deafMail is a core that takes everything and does nothing.
type deafMail struct{}

func (deafMail) put(any) bool           { return true }
func (deafMail) noteApplied(core.LogID) {}
func (deafMail) noteMatched(bool)       {}

var rigCluster = core.ClusterID{1}

func newStreamRig(t *testing.T) *streamRig {
	env := stagetest.NewHand()
	return newStreamRigIn(t, env, env)
}

func newStreamRigIn(t *testing.T, hand *stagetest.Hand, env stage.Environment) *streamRig {
	r := &streamRig{env: hand, net: &sentNetwork{}}
	store, log := memory.New(1), entriesOf(1, 1, 3, 100)
	if err := store.Write(context.Background(), &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: log}}}); err != nil {
		t.Fatal(err)
	}
	cfg := groupConfig(1, nil)
	cfg.EntriesPerMessageMax = 1
	r.actor = newReplicationActor(replicationNeeds{
		home: home{Home: stage.Home{Env: env}}, cfg: &cfg, self: membership.Identity{ID: 1, Incarnation: 1}, cluster: func() core.ClusterID { return rigCluster },
		memoryLog: memlog.New(1, core.LogID{}, log[2].LogID, 3), store: store, send: r.net.Send, takes: takesAll,
		toPeer: func(membership.NodeID) *atomic.Int64 { return new(atomic.Int64) },
		core:   deafMail{},
	}, &core.StartStream{
		Peer: membership.Member{Identity: membership.Identity{ID: 2, Incarnation: 2}}, Stream: 1, Term: 1, Terms: []core.LogID{log[0].LogID}, Last: 3, Introduces: true,
	})
	r.actor.Start()
	return r
}

// hears hands over what the learner says.
func (r *streamRig) hears(ev stream.Event) {
	r.actor.inbox.Put(ev, true)
	work(r.env, &r.actor.Shell)
}

// answer is an answer of the learner to the stream.
func (r *streamRig) answer(success bool, match core.Index, cluster core.ClusterID) *core.AppendResponse {
	h := core.Header{Group: 1, Cluster: cluster, From: r.actor.key.peer, To: r.actor.self, Term: 1}
	return &core.AppendResponse{Header: h, Stream: 1, Success: success, Match: match, Rejected: core.LogID{Term: 1, Index: 3}}
}

// TestStreamHearsBeforeItSendsWhatItRead: the store may take its time. What the
// follower has said meanwhile comes first: a learner that has acknowledged something
// is not told the cluster's id any more (rule 27), and the core may let it vote by
// now.
func TestStreamHearsBeforeItSendsWhatItRead(t *testing.T) {
	r := newStreamRig(t)
	r.hears(&stream.Grown{Last: 3}) // the probe behind the last entry, which memory knows
	if len(r.net.sent) != 1 || !r.net.sent[0].Head().Introduces {
		t.Fatalf("the probe is %+v", r.net.sent)
	}
	r.hears(stream.Answered{Response: r.answer(false, 0, core.ClusterID{})}) // it is empty: the first entry is read for it
	if r.env.Calls() != 1 {
		t.Fatalf("%d calls of the store", r.env.Calls())
	}
	// A snapshot has brought it further than that.
	r.hears(&stream.Alive{Match: 2, Sent: 1})
	r.env.Finish()
	for r.env.Calls() > 0 {
		r.env.Finish()
	}
	for _, m := range r.net.sent[1:] {
		if a := m.(*core.AppendEntries); a.Introduces || a.Prev.Index < 2 {
			t.Errorf("it is sent %d entries behind %v, introduces %t", len(a.Entries), a.Prev, a.Introduces)
		}
	}
	if len(r.net.sent) != 2 {
		t.Errorf("%d messages were sent", len(r.net.sent))
	}
}

// inPlace is an environment whose calls end before Do returns, as those of a fast store do.
type inPlace struct {
	*stagetest.Hand
	before func()
}

// Do implements stage.Environment.
func (e *inPlace) Do(c *stage.Call) {
	e.before()
	c.Run()
	c.Done()
}

// TestStreamHearsAllThatCameWithWhatMadeItRead: a read that ends at once ends within the turn
// that began it. What came together with the answer that made it read is heard, too, and before
// anything is sent; so is what comes during the read.
func TestStreamHearsAllThatCameWithWhatMadeItRead(t *testing.T) {
	for _, during := range []bool{false, true} {
		hand := stagetest.NewHand()
		env := &inPlace{hand, func() {}}
		r := newStreamRigIn(t, hand, env)
		r.hears(&stream.Grown{Last: 3})
		more := &stream.Alive{Match: 2, Sent: 1}
		later := func() { r.actor.inbox.Put(more, true) }
		if during {
			env.before, later = later, func() {}
		}
		r.actor.inbox.Put(stream.Answered{Response: r.answer(false, 0, core.ClusterID{})}, true)
		for range 3 {
			r.actor.inbox.Put(&stream.Alive{}, true) // somebody else's array is not written to
		}
		later()
		work(r.env, &r.actor.Shell)
		if len(r.net.sent) != 2 {
			t.Fatalf("during the read: %t: %d messages were sent", during, len(r.net.sent))
		}
		if a := r.net.sent[1].(*core.AppendEntries); a.Introduces || a.Prev.Index < 2 {
			t.Errorf("during the read: %t: it is sent %d entries behind %v, introduces %t", during, len(a.Entries), a.Prev, a.Introduces)
		}
	}
}
