package snapshots

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// put commits a snapshot of a content.
func put(t *testing.T, store *memory.Snapshots, id core.LogID, content []byte) {
	t.Helper()
	w, err := store.Create(t.Context(), 1, core.SnapshotMeta{LogID: id})
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		_, err = w.Commit(core.SnapshotMeta{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// answerTo answers a piece with how much the receiver has.
func (r *sendingRig) answerTo(j *Jobs, c *core.SnapshotChunk, offset uint64) {
	j.Answered(&core.SnapshotResponse{
		Header: core.Header{Group: c.Group, Cluster: core.ClusterID{7}, From: receiverOf.Identity}, Stream: 1,
		Transfer: c.Transfer, Offset: offset,
	})
	r.env.Settle()
}

// TestWindowIsOfBytes: as many pieces are under way as the window has bytes for, whatever
// their size, and one of any size.
func TestWindowIsOfBytes(t *testing.T) {
	for _, test := range []struct{ chunk, want int }{
		{256 << 10, windowBytes / (256 << 10)},
		{1 << 20, windowBytes / (1 << 20)},
		{4 << 20, 1},
		{7 << 20, 1},
		{100, windowPieces},
	} {
		t.Run(fmt.Sprint(test.chunk), func(t *testing.T) {
			r, store := newSendingRig(), memory.NewSnapshots()
			put(t, store, core.LogID{Term: 1, Index: 9}, make([]byte, min(16<<20, 1000*test.chunk)))
			jobs := r.group(t, 1, store)
			jobs.group.ChunkBytes = test.chunk
			send(jobs)
			r.calls()
			asked := r.sent[0]
			if len(r.sent) != 1 || len(asked.Data) != 0 {
				t.Fatalf("%d pieces before the receiver has agreed", len(r.sent))
			}
			r.answerTo(jobs, asked, 0)
			r.calls()
			if under := r.sent[1:]; len(under) != test.want {
				t.Fatalf("%d pieces are under way, want %d", len(under), test.want)
			}
			first := r.sent[1]
			r.answerTo(jobs, first, uint64(len(first.Data)))
			r.calls()
			if len(r.sent) != 2+test.want {
				t.Errorf("after an answer %d more pieces", len(r.sent)-1-test.want)
			}
			jobs.Stop()
			r.calls()
		})
	}
}

// inOrder is a store whose snapshots can only be read from their beginning on.
type inOrder struct{ *memory.Snapshots }

func (s inOrder) Open(ctx context.Context, group membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	r, err := s.Snapshots.Open(ctx, group, id)
	return struct{ storage.SnapshotReader }{r}, err
}

// TestSlowWayToWhereTheReceiverIs: a transfer that resumes has to read what the receiver
// has already, which may take longer than a transfer may stand still. It ends all the
// same.
func TestSlowWayToWhereTheReceiverIs(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	put(t, store, core.LogID{Term: 1, Index: 9}, make([]byte, 3000))
	jobs := r.group(t, 1, inOrder{store})
	send(jobs)
	r.calls()
	r.answerTo(jobs, r.sent[0], 2900)
	for range 2 * senderQuietMax {
		r.env.pass(timeout)
		if r.env.Calls() > 0 {
			r.env.Finish()
			r.env.Settle()
		}
	}
	if len(r.ended) != 0 {
		t.Fatalf("cut off on the way: %+v", r.ended[0])
	}
	r.calls()
	last := r.sent[len(r.sent)-1]
	if len(r.sent) != 2 || last.Offset != 2900 || !last.Done {
		t.Fatalf("%d pieces, the last at %d", len(r.sent), last.Offset)
	}
	r.answerTo(jobs, last, 3000)
	if len(r.ended) != 1 || !r.ended[0].OK {
		t.Errorf("ended: %+v", r.ended)
	}
	jobs.Stop()
	r.calls()
}

// TestNewerSnapshotRestartsNothing: rule 25: a transfer whose connection breaks goes on
// with the snapshot that it had, from where the receiver is, though a newer one was made
// and the old one was removed.
func TestNewerSnapshotRestartsNothing(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	content := bytes.Repeat([]byte("0123456789"), 100)
	at := core.LogID{Term: 1, Index: 9}
	put(t, store, at, content)
	jobs := r.group(t, 1, store)
	send(jobs)
	r.calls()
	r.answerTo(jobs, r.sent[0], 0)
	r.calls()
	for _, c := range r.sent[1:6] {
		r.answerTo(jobs, c, c.Offset+uint64(len(c.Data)))
	}
	r.calls()
	put(t, store, core.LogID{Term: 1, Index: 50}, []byte("newer"))
	if err := store.RemoveBelow(t.Context(), 1, 50); err != nil {
		t.Fatal(err)
	}
	jobs.PeerDown(receiverOf.ID)
	r.calls()
	if len(r.ended) != 1 || r.ended[0].OK || r.ended[0].LogID != at || r.ended[0].Reason != "" {
		t.Fatalf("the break was told as %+v", r.ended)
	}
	jobs.Ended(r.ended[0])
	late := r.sent[len(r.sent)-1]
	sent := len(r.sent)
	jobs.Send(&core.SendSnapshot{Peer: receiverOf, Stream: 1, Term: 1, Resume: at})
	r.calls()
	if len(r.sent) != sent+1 || r.sent[sent].Meta.LogID != at || r.sent[sent].Transfer == late.Transfer {
		t.Fatalf("it goes on with %+v", r.sent[sent:])
	}
	r.answerTo(jobs, late, late.Offset+uint64(len(late.Data))) // of before the break
	if len(r.sent) != sent+1 {
		t.Fatal("an answer of before the break counts")
	}
	r.answerTo(jobs, r.sent[sent], 500)
	r.calls()
	for i := sent + 1; i < len(r.sent); i++ {
		c := r.sent[i]
		if !bytes.Equal(c.Data, content[c.Offset:c.Offset+uint64(len(c.Data))]) || c.Offset < 500 {
			t.Fatalf("a piece from %d on has %q", c.Offset, c.Data)
		}
		r.answerTo(jobs, c, c.Offset+uint64(len(c.Data)))
		r.calls()
	}
	if len(r.ended) != 2 || !r.ended[1].OK || r.ended[1].LogID != at {
		t.Fatalf("it ended as %+v", r.ended)
	}
	jobs.Ended(r.ended[1])
	r.calls()
	if len(jobs.senders) != 0 {
		t.Errorf("%d senders are left", len(jobs.senders))
	}
}

// TestBreaksAgain: a transfer whose connection breaks again before the receiver has
// answered goes on with its snapshot all the same; but not for ever without an answer.
func TestBreaksAgain(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	at := core.LogID{Term: 1, Index: 9}
	put(t, store, at, make([]byte, 1000))
	jobs := r.group(t, 1, store)
	send(jobs)
	r.calls()
	r.answerTo(jobs, r.sent[0], 500)
	r.calls()
	put(t, store, core.LogID{Term: 1, Index: 50}, []byte("newer"))
	if err := store.RemoveBelow(t.Context(), 1, 50); err != nil {
		t.Fatal(err)
	}
	sender := jobs.senders[0]
	breaks := func() {
		jobs.PeerDown(receiverOf.ID)
		r.calls()
		jobs.Ended(r.ended[len(r.ended)-1])
	}
	goesOn := func() {
		jobs.Send(&core.SendSnapshot{Peer: receiverOf, Stream: 1, Term: 1, Resume: at})
		r.calls()
	}
	for range 3 {
		breaks()
		goesOn()
		if last := r.sent[len(r.sent)-1]; last.Meta.LogID != at || jobs.senders[0] != sender {
			t.Fatalf("it goes on with %v", last.Meta.LogID)
		}
	}
	breaks()
	r.env.pass(asideFor - time.Second)
	if goesOn(); sender.Over() {
		t.Fatal("it was let go early")
	}
	r.env.pass(2 * time.Second)
	if breaks(); !sender.Over() {
		t.Error("without an answer the snapshot is held for ever")
	}
	jobs.Stop()
	r.calls()
}

// TestNewRateForOneWithoutItsTurn: a new limit counts for a transfer, too, that was held
// back by the old one and has lost its turn since.
func TestNewRateForOneWithoutItsTurn(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	r.gate = NewGate(r.env, Limits{SendsMax: 1, BytesPerSecond: 1})
	put(t, store, core.LogID{Term: 1, Index: 9}, make([]byte, 10_000))
	jobs := r.group(t, 1, store)
	send(jobs)
	r.calls()
	r.answerTo(jobs, r.sent[0], 0)
	r.calls()
	r.answerTo(jobs, r.sent[1], 100)
	r.calls()
	held := len(r.sent)
	other := r.group(t, 2, memory.NewSnapshots())
	peer := receiverOf
	peer.ID++
	other.Send(&core.SendSnapshot{Peer: peer, Stream: 1, Term: 1})
	r.env.pass(timeout + timeout/2)
	if r.gate.has(jobs.senders[0]) {
		t.Fatal("it has its turn: the test is worthless")
	}
	r.gate.SetRate(0)
	r.calls()
	other.Stop()
	r.calls()
	r.env.pass(timeout)
	r.calls()
	if len(r.sent) <= held+1 { // the other has asked
		t.Error("the old limit holds it")
	}
	jobs.Stop()
	r.calls()
}

// TestAsideOnlyForAWhile: a transfer that broke lets go of its snapshot in the end, and of
// another snapshot nothing is gone on with.
func TestAsideOnlyForAWhile(t *testing.T) {
	for _, ends := range []string{"by itself", "by another snapshot", "with its stream"} {
		t.Run(ends, func(t *testing.T) {
			r, store := newSendingRig(), memory.NewSnapshots()
			at := core.LogID{Term: 1, Index: 9}
			put(t, store, at, make([]byte, 1000))
			jobs := r.group(t, 1, store)
			send(jobs)
			r.calls()
			r.answerTo(jobs, r.sent[0], 0)
			r.calls()
			aside := jobs.senders[0]
			jobs.PeerDown(receiverOf.ID)
			r.calls()
			jobs.Ended(r.ended[0])
			if aside.Over() || len(r.gate.active)+len(r.gate.waiting) != 0 {
				t.Fatal("it does not stand aside")
			}
			switch ends {
			case "by itself":
				r.env.pass(asideFor + time.Second)
			case "by another snapshot":
				jobs.Send(&core.SendSnapshot{Peer: receiverOf, Stream: 1, Term: 1, Resume: core.LogID{Term: 1, Index: 5}})
			case "with its stream":
				jobs.StreamStopped(receiverOf.Identity, 1)
			}
			r.calls()
			if !aside.Over() {
				t.Error("it holds its snapshot for ever")
			}
			jobs.Stop()
			r.calls()
		})
	}
}

// TestSendsAtATime: no more transfers than the node may send have their turn, one that
// stands still passes it on.
func TestSendsAtATime(t *testing.T) {
	r := newSendingRig()
	r.gate = NewGate(r.env, Limits{SendsMax: 2})
	var groups []*Jobs
	for i := range 4 {
		store := memory.NewSnapshots()
		jobs := r.group(t, core.GroupID(i+1), store)
		peer := receiverOf
		peer.ID += core.NodeID(i)
		jobs.Send(&core.SendSnapshot{Peer: peer, Stream: 1, Term: 1})
		groups = append(groups, jobs)
	}
	r.calls()
	asked := func() (nodes []core.NodeID) {
		for _, c := range r.sent {
			nodes = append(nodes, c.To.ID)
		}
		return nodes
	}
	if got := asked(); !slices.Equal(got, []core.NodeID{2, 3}) {
		t.Fatalf("asked are %v", got)
	}
	r.env.pass(timeout + timeout/2) // nobody answers
	r.calls()
	if got := asked(); !slices.Equal(got, []core.NodeID{2, 3, 4, 5}) {
		t.Errorf("asked are %v", got)
	}
	for _, jobs := range groups {
		jobs.Stop()
	}
	r.calls()
	for _, timer := range r.env.timers {
		if timer.due != 0 {
			t.Error("a timer runs on")
		}
	}
}

// TestRate: all transfers together send no more than the node may, which may be changed
// while they run; who is held back by that is not taken for one that stands still.
func TestRate(t *testing.T) {
	r := newSendingRig()
	r.gate = NewGate(r.env, Limits{BytesPerSecond: 100_000})
	var all []*Jobs
	sent := 0
	drain := func() {
		for ; sent < len(r.sent); sent++ {
			c := r.sent[sent]
			jobs := all[c.Group-1]
			jobs.Answered(&core.SnapshotResponse{
				Header: core.Header{Group: c.Group, Cluster: core.ClusterID{7}, From: c.To}, Stream: 1,
				Transfer: c.Transfer, Offset: c.Offset + uint64(len(c.Data)),
			})
			r.calls()
		}
	}
	for i := range 2 {
		store := memory.NewSnapshots()
		jobs := r.group(t, core.GroupID(i+1), store)
		w, _ := store.Create(t.Context(), core.GroupID(i+1), core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 9}})
		_, _ = w.Write(make([]byte, 4_000_000))
		if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
			t.Fatal(err)
		}
		jobs.group.ChunkBytes = 50_000
		peer := receiverOf
		peer.ID += core.NodeID(i)
		all = append(all, jobs)
		jobs.Send(&core.SendSnapshot{Peer: peer, Stream: 1, Term: 1})
	}
	moved := func(d time.Duration) (bytes int) {
		from := len(r.sent)
		for range d / (10 * time.Millisecond) {
			r.calls()
			drain()
			r.env.pass(10 * time.Millisecond)
		}
		for _, c := range r.sent[from:] {
			bytes += len(c.Data)
		}
		return bytes
	}
	r.calls()
	if n := moved(20 * time.Second); n < 1_900_000 || n > 2_100_000 {
		t.Errorf("%d bytes in 20 s at 100,000 a second", n)
	}
	if p, ok := all[0].Progress(receiverOf.Identity); !ok || p.BytesPerSecond < 40_000 || p.BytesPerSecond > 60_000 || p.Left < 50*time.Second || p.Left > 80*time.Second {
		t.Errorf("it tells %v", p)
	}
	r.gate.SetRate(1000)
	if n := moved(30 * time.Second); n > 60_000 {
		t.Errorf("%d bytes in 30 s at 1,000 a second", n)
	}
	if len(r.ended) != 0 {
		t.Fatalf("slow is taken for still: %+v", r.ended[0])
	}
	r.gate.SetRate(0)
	r.calls()
	if moved(100 * time.Millisecond); len(r.ended) != 2 || !r.ended[0].OK || !r.ended[1].OK {
		t.Fatalf("without a limit they have not ended: %d", len(r.ended))
	}
	if text := strings.Join(r.told, "; "); !strings.Contains(text, "of 4000000 bytes") || len(r.told) > 2*(quarters-1) {
		t.Errorf("told is %q", text)
	}
	for i, jobs := range all {
		jobs.Ended(r.ended[i])
	}
	r.calls()
}

// TestSnapshotNotNeeded: for the stream a snapshot that its receiver does not need has
// arrived: entries follow it.
func TestSnapshotNotNeeded(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	jobs := r.group(t, 1, store)
	put(t, store, core.LogID{Term: 1, Index: 9}, []byte("content"))
	send(jobs)
	r.calls()
	r.answer(jobs, 0, core.SnapshotNotNeeded)
	r.calls()
	if len(r.ended) != 1 || !r.ended[0].OK || r.ended[0].LogID != (core.LogID{Term: 1, Index: 9}) {
		t.Fatalf("%+v", r.ended)
	}
	jobs.Ended(r.ended[0])
	jobs.Stop()
	r.calls()
}

// TestFormerSnapshotIsOfThisCluster: a snapshot that bears the id of the cluster before a
// recovery is sent as one of the group's own: whoever comes in takes the id from it.
func TestFormerSnapshotIsOfThisCluster(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	jobs := r.group(t, 1, store)
	w, err := store.Create(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 9}, Cluster: core.ClusterID{6}})
	if err == nil {
		_, err = w.Write([]byte("of the cluster before"))
	}
	if err == nil {
		_, err = w.Commit(core.SnapshotMeta{})
	}
	if err != nil {
		t.Fatal(err)
	}
	send(jobs)
	r.calls()
	if c := r.sent[0]; c.Cluster != (core.ClusterID{7}) || c.Meta.Cluster != c.Cluster || c.Meta.Index != 9 {
		t.Errorf("sent is %+v of %+v", c.Header, c.Meta)
	}
	jobs.Stop()
	r.calls()
}

// TestGentleBesideWrites: while the node writes commands a transfer goes slowly, and as fast
// as it can before and after that. A limit that is set counts alone.
func TestGentleBesideWrites(t *testing.T) {
	for name, test := range map[string]struct {
		limit   uint64
		written time.Duration
		size    uint64
		want    uint64
	}{
		"nothing was written ever":    {0, -1, 1 << 30, 0},
		"nothing was written of late": {0, writesFor + 1, 1 << 30, 0},
		"commands are written":        {0, writesFor, 1000, gentleSendBytesPerSecond},
		"beside a large snapshot":     {0, 0, 60 << 40, 1 << 40},
		"a low limit":                 {1000, 0, 1 << 40, 1000},
		"a high limit":                {1 << 40, 0, 1000, 1 << 40},
	} {
		now := stage.Instant(time.Hour)
		var at stage.Instant
		if test.written >= 0 {
			at = now - stage.Instant(test.written)
		}
		p := &pace{written: func() stage.Instant { return at }, gentle: gentleSendBytesPerSecond}
		p.set(test.limit)
		if got := p.limit(now, test.size); got != test.want {
			t.Errorf("%s: %d bytes a second, want %d", name, got, test.want)
		}
		if test.want == gentleSendBytesPerSecond {
			if p.take(now, gentleSendBytesPerSecond/4, test.size); p.take(now, 1, test.size) != time.Second/4 {
				t.Errorf("%s: who comes next need not wait", name)
			}
		}
	}
}

// TestSnapshotIsGone: the log has passed a snapshot that waited: for the receiver to be
// reached, or out the pause after a failure. That is no failure, after which another would
// have to wait until the log has passed it, too: it is sent as soon as it is made.
func TestSnapshotIsGone(t *testing.T) {
	for _, waits := range []string{"for a connection", "after a failure"} {
		t.Run(waits, func(t *testing.T) {
			r, store := newSendingRig(), memory.NewSnapshots()
			jobs := r.group(t, 1, store)
			if waits == "after a failure" {
				send(jobs)
				r.calls()
				r.answer(jobs, 0, "no room")
				jobs.Ended(r.ended[0])
				send(jobs)
			} else {
				r.down = true
				send(jobs)
				r.calls()
			}
			r.ended, r.sent = nil, nil
			if err := store.RemoveBelow(t.Context(), 1, 50); err != nil {
				t.Fatal(err)
			}
			r.env.pass(timeout + timeout/2)
			r.calls()
			if len(r.ended) != 1 || !r.ended[0].Gone || r.ended[0].Reason != "" || r.ended[0].Rotten || len(r.sent) != 0 {
				t.Fatalf("it ended as %+v, with %d pieces", r.ended, len(r.sent))
			}
			if text, news := jobs.Ended(r.ended[0]); news {
				t.Errorf("told as a failure: %q", text)
			}
			r.down = false
			put(t, store, core.LogID{Term: 1, Index: 50}, []byte("newer"))
			send(jobs)
			r.calls()
			if len(r.sent) != 1 || r.sent[0].Meta.Index != 50 {
				t.Errorf("of the one that was made then %d pieces were sent", len(r.sent))
			}
			jobs.Stop()
			r.calls()
		})
	}
}

// TestNewestOnceItIsReached: whoever could not be reached is sent what is the newest when
// he can, and not what was when it was tried first.
func TestNewestOnceItIsReached(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	put(t, store, core.LogID{Term: 1, Index: 9}, []byte("old"))
	jobs := r.group(t, 1, store)
	r.down = true
	send(jobs)
	r.calls()
	put(t, store, core.LogID{Term: 1, Index: 50}, []byte("newer"))
	r.env.pass(timeout + timeout/2)
	r.calls()
	r.down = false
	r.env.pass(timeout)
	r.calls()
	if len(r.sent) != 1 || r.sent[0].Meta.Index != 50 {
		t.Fatalf("asked was for %d pieces", len(r.sent))
	}
	r.answerTo(jobs, r.sent[0], 0)
	r.calls()
	if last := r.sent[len(r.sent)-1]; string(last.Data) != "newer" {
		t.Errorf("sent is %q", last.Data)
	}
	jobs.Stop()
	r.calls()
}
