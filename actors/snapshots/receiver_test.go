package snapshots

import (
	"context"
	"hash/crc32"
	"io"
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// answersOf is a network that keeps the answers of a receiver.
type answersOf struct{ said []*core.SnapshotResponse }

func (n *answersOf) Send(m core.Message) bool {
	n.said = append(n.said, m.(*core.SnapshotResponse))
	return true
}

func (n *answersOf) Sent(membership.NodeID, core.Class) uint64 { return 0 }

// receiverRig is a receiver that a test steps by hand.
type receiverRig struct {
	t    *testing.T
	jobs *Jobs
	env  *handClock
	net  *answersOf
	got  []*core.SnapshotReceived
}

func newReceiverRig(t *testing.T) *receiverRig {
	r := &receiverRig{t: t, env: &handClock{Hand: stagetest.NewHand(), now: 1}, net: &answersOf{}}
	r.jobs = NewJobs(&Group{
		Home: stage.Home{Env: r.env, Failed: func(err error) { t.Error(err) }, Ended: func() {}},
		ID:   1, Store: memory.NewSnapshots(), Network: r.net, Context: t.Context(),
		Header: func(to core.Identity) core.Header { return core.Header{Group: 1, To: to} },
		Core:   func(ev core.Event) { r.got = append(r.got, ev.(*core.SnapshotReceived)) },
		Gate:   NewGate(r.env, Limits{}), ElectionTimeout: timeout,
		Spawn: (*stage.Shell).Start,
	})
	return r
}

// piece hands the receiver a piece of a snapshot and returns from where on it wants
// more.
func (r *receiverRig) piece(transfer uint64, of core.SnapshotMeta, content string, from, to int) uint64 {
	r.t.Helper()
	r.jobs.Receive(&core.SnapshotChunk{Transfer: transfer, Meta: of, Offset: uint64(from), Data: []byte(content[from:to]), Done: to == len(content)})
	r.env.Settle()
	for r.env.Calls() > 0 {
		r.env.Finish()
	}
	answer := r.net.said[len(r.net.said)-1]
	if answer.Refused || answer.Transfer != transfer {
		r.t.Errorf("a piece of transfer %d was answered with %+v", transfer, answer)
	}
	return answer.Offset
}

func metaOf(id core.LogID, content string) core.SnapshotMeta {
	return core.SnapshotMeta{LogID: id, SizeBytes: uint64(len(content)), Checksum: crc32.Checksum([]byte(content), crc32.MakeTable(crc32.Castagnoli))}
}

// TestTransferResumesOnTheSameSnapshot: rule 25: what is there of a snapshot counts for
// a later transfer of one with equal id, size and checksum, and for no other: two
// leaders may have built different files for one entry.
func TestTransferResumesOnTheSameSnapshot(t *testing.T) {
	at := core.LogID{Term: 2, Index: 9}
	const content = "first half, second half"
	const half = len("first half, ")
	for name, test := range map[string]struct {
		id      core.LogID
		content string
		resumes bool
	}{
		"the same":          {at, content, true},
		"of another entry":  {core.LogID{Term: 2, Index: 10}, content, false},
		"of another term":   {core.LogID{Term: 3, Index: 9}, content, false},
		"of another size":   {at, content + ", and more", false},
		"of other contents": {at, "other half, second half", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiverRig(t)
			if offset := r.piece(1, metaOf(at, content), content, 0, half); offset != uint64(half) {
				t.Fatalf("after the first piece: %d", offset)
			}
			meta := metaOf(test.id, test.content)
			offset := int(r.piece(2, meta, test.content, 0, 0))
			if want := map[bool]int{true: half, false: 0}[test.resumes]; offset != want {
				t.Errorf("it goes on at %d, want %d", offset, want)
			}
			r.piece(2, meta, test.content, offset, len(test.content))
			if len(r.got) != 1 || r.got[0].Meta.LogID != test.id {
				t.Fatalf("arrived: %+v", r.got)
			}
			stored, err := r.jobs.group.Store.Open(t.Context(), 1, test.id)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stored.Close() }()
			if all, err := io.ReadAll(stored); err != nil || string(all) != test.content {
				t.Errorf("stored is %q, %v", all, err)
			}
		})
	}
}

// TestPieceIsRecycledOnceItIsWritten: the memory of a piece goes back to the network once, and
// only when nobody reads it any more.
func TestPieceIsRecycledOnceItIsWritten(t *testing.T) {
	const content = "a snapshot that comes in two pieces"
	const half = len(content) / 2
	r := newReceiverRig(t)
	at := core.LogID{Term: 2, Index: 9}
	for _, part := range [][2]int{{0, half}, {half, len(content)}} {
		recycled := 0
		r.jobs.group.Recycle = func(data []byte) {
			recycled++
			clear(data)
		}
		r.jobs.Receive(&core.SnapshotChunk{
			Transfer: 1, Meta: metaOf(at, content), Offset: uint64(part[0]), Data: []byte(content[part[0]:part[1]]), Done: part[1] == len(content),
		})
		r.env.Settle()
		if recycled > 0 {
			t.Error("recycled before it was written")
		}
		for r.env.Calls() > 0 {
			r.env.Finish()
		}
		if recycled != 1 {
			t.Errorf("recycled %d times", recycled)
		}
	}
	stored, err := r.jobs.group.Store.Open(t.Context(), 1, at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stored.Close() }()
	if all, err := io.ReadAll(stored); err != nil || string(all) != content {
		t.Errorf("stored is %q, %v", all, err)
	}
}

// TestPieceStaysWhole: a network that does not take the memory of pieces back may have handed
// over the very message that was sent, which the sender still reads.
func TestPieceStaysWhole(t *testing.T) {
	const content = "a snapshot in one piece"
	r := newReceiverRig(t)
	r.jobs.group.Recycle = nil
	m := &core.SnapshotChunk{Transfer: 1, Meta: metaOf(core.LogID{Term: 2, Index: 9}, content), Data: []byte(content), Done: true}
	r.jobs.Receive(m)
	r.env.Settle()
	for r.env.Calls() > 0 {
		r.env.Finish()
	}
	if len(r.got) != 1 || string(m.Data) != content {
		t.Errorf("%d have arrived, and of the message is left %q", len(r.got), m.Data)
	}
}

// wholeAlready is a store in which an earlier life has all bytes of every snapshot.
type wholeAlready struct{ *memory.Snapshots }

func (s wholeAlready) Resume(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, uint64, error) {
	w, err := s.Create(ctx, group, meta)
	if err != nil {
		return nil, 0, err
	}
	n, err := w.Write([]byte("content"))
	return w, uint64(n), err
}

// TestSnapshotThatIsWholeIsEnded: the process was killed between the last byte of a
// snapshot and its end. What the sender asks with ends it.
func TestSnapshotThatIsWholeIsEnded(t *testing.T) {
	r := newReceiverRig(t)
	store := wholeAlready{memory.NewSnapshots()}
	r.jobs.group.Store = store
	meta := metaOf(core.LogID{Term: 2, Index: 9}, "content")
	if offset := r.piece(1, meta, "content", 0, 0); offset != meta.SizeBytes {
		t.Fatalf("it goes on at %d", offset)
	}
	if len(r.got) != 1 || r.got[0].Meta.LogID != meta.LogID {
		t.Fatalf("arrived: %+v", r.got)
	}
	if newest, err := store.Newest(t.Context(), 1); err != nil || newest.LogID != meta.LogID {
		t.Errorf("stored is %v, %v", newest.LogID, err)
	}
}

// TestReceivesAtATime: a node takes in no more snapshots than it may. One of which nothing
// comes any more gives its place to another, and what has arrived of it goes where the
// store keeps nothing.
func TestReceivesAtATime(t *testing.T) {
	env := &handClock{Hand: stagetest.NewHand(), now: 1}
	gate, net := NewGate(env, Limits{ReceivesMax: 1}), &answersOf{}
	group := func() *Jobs {
		return NewJobs(&Group{
			Home: stage.Home{Env: env, Failed: func(err error) { t.Error(err) }, Ended: func() {}},
			ID:   1, Store: memory.NewSnapshots(), Network: net, Context: t.Context(), Gate: gate, ElectionTimeout: timeout,
			Header: func(to core.Identity) core.Header { return core.Header{Group: 1, To: to} },
			Tell:   func(*core.Notice) {},
			Core:   func(core.Event) {},
			Spawn:  (*stage.Shell).Start,
		})
	}
	one, two := group(), group()
	const content = "some content"
	piece := func(j *Jobs, transfer uint64, from, to int) *core.SnapshotResponse {
		j.Receive(&core.SnapshotChunk{Transfer: transfer, Meta: metaOf(core.LogID{Term: 1, Index: 9}, content), Offset: uint64(from), Data: []byte(content[from:to]), Done: to == len(content)})
		env.Settle()
		for env.Calls() > 0 {
			env.Finish()
		}
		return net.said[len(net.said)-1]
	}
	if m := piece(one, 1, 0, 4); m.Refused || m.Offset != 4 {
		t.Fatalf("the first is answered with %+v", m)
	}
	if p, ok := one.Receiving(); !ok || p.Bytes != 4 || p.TotalBytes != uint64(len(content)) {
		t.Errorf("it is shown as %v", p)
	}
	if m := piece(two, 2, 0, 4); !m.Refused || m.Reason != errBusy.Error() {
		t.Fatalf("the second is answered with %+v", m)
	}
	env.pass(senderStillMax * timeout / 2)
	if m := piece(two, 2, 0, 4); !m.Refused {
		t.Error("it was given up early")
	}
	env.pass((senderStillMax + 2) * timeout)
	for env.Calls() > 0 {
		env.Finish()
	}
	if _, ok := one.Receiving(); ok {
		t.Error("it is shown for ever")
	}
	if m := piece(two, 3, 0, len(content)); m.Refused || m.Offset != uint64(len(content)) {
		t.Errorf("the second is answered with %+v", m)
	}
	if m := piece(one, 4, 0, 0); m.Refused || m.Offset != 0 {
		t.Errorf("the first goes on with %+v", m)
	}
	one.Stop()
	two.Stop()
	for env.Settle(); env.Calls() > 0; {
		env.Finish()
	}
	if gate.receiving != 0 {
		t.Errorf("%d are counted for ever", gate.receiving)
	}
	for _, timer := range env.timers {
		if timer.due != 0 {
			t.Error("a timer runs on")
		}
	}
}
