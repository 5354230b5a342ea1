package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/network/wire"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
)

// filler is so many bytes that do not compress.
type filler struct{ bytes uint64 }

// fillerBytes is how much is written at once.
const fillerBytes = 512 << 10

var fillerBlock = func() []byte {
	b := make([]byte, fillerBytes)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}()

// WriteTo implements troupe.SnapshotView.
func (f *filler) WriteTo(w io.Writer) (written int64, err error) {
	for left := f.bytes; left > 0 && err == nil; {
		var n int
		n, err = w.Write(fillerBlock[:min(left, fillerBytes)])
		left -= uint64(n)
		written += int64(n)
	}
	return written, err
}

// Close implements troupe.SnapshotView.
func (f *filler) Close() error { return nil }

// filled is a state machine whose snapshots have a size, and nothing else.
type filled struct {
	troupe.Volatile
	bytes    uint64
	restored chan time.Duration
}

// Apply implements troupe.StateMachine.
func (m *filled) Apply(context.Context, []troupe.Entry) ([][]byte, error) { return nil, nil }

// View implements troupe.StateMachine.
func (m *filled) View() (troupe.SnapshotView, error) { return &filler{m.bytes}, nil }

// Restore implements troupe.StateMachine.
func (m *filled) Restore(_ context.Context, r io.Reader) error {
	begun := time.Now()
	n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, fillerBytes))
	if err == nil && uint64(n) != m.bytes {
		err = fmt.Errorf("a snapshot of %d bytes", n)
	}
	if m.restored != nil {
		m.restored <- time.Since(begun)
	}
	return err
}

// timedStore measures from the beginning of a snapshot until it is durable.
type timedStore struct {
	*files.Store
	begun     time.Time
	committed chan time.Time
}

func (s *timedStore) time(w storage.SnapshotWriter) *timedWriter {
	return &timedWriter{SnapshotWriter: w, store: s}
}

// Create implements storage.SnapshotStore.
func (s *timedStore) Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	s.begun = time.Now()
	w, err := s.Store.Create(ctx, group, meta)
	return s.time(w), err
}

// Resume implements storage.Resuming.
func (s *timedStore) Resume(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, uint64, error) {
	s.begun = time.Now()
	w, have, err := s.Store.Resume(ctx, group, meta)
	return s.time(w), have, err
}

// timedWriter tells when its snapshot is durable.
type timedWriter struct {
	storage.SnapshotWriter
	store *timedStore
}

// Commit implements storage.SnapshotWriter.
func (w *timedWriter) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	meta, err := w.SnapshotWriter.Commit(want)
	if err == nil {
		select {
		case w.store.committed <- time.Now():
		default: // nobody waits for it
		}
	}
	return meta, err
}

// counted is a network's handler that counts what comes.
type counted struct {
	wants uint64
	done  chan struct{}
	came  uint64
}

// Receive implements network.Handler.
func (h *counted) Receive(_ membership.Identity, m core.Message) {
	if chunk, is := m.(*core.SnapshotChunk); is {
		if h.came += uint64(len(chunk.Data)); h.came >= h.wants {
			close(h.done)
		}
		wire.Recycle(chunk.Data)
	}
}

// Connected implements network.Handler.
func (*counted) Connected(membership.Identity, core.Class) {}

// Disconnected implements network.Handler.
func (*counted) Disconnected(membership.NodeID, core.Class, error) {}

// Learned implements network.Handler.
func (*counted) Learned(network.Peer) {}

// Outlived implements network.Handler.
func (*counted) Outlived(membership.Identity) {}

// moveBare sends the snapshot's bytes over one connection, in pieces of the same size.
func moveBare(ctx context.Context, s *transferSettings) (took time.Duration, err error) {
	chunk := s.chunkBytes
	if chunk == 0 {
		chunk = troupe.Config{}.WithDefaults().SnapshotChunkBytes
	}
	var ends [2]*tcp.Network
	to := &counted{wants: s.bytes, done: make(chan struct{})}
	for i, h := range []*counted{{wants: 1}, to} {
		if ends[i], err = tcp.Listen(tcp.Config{Address: "127.0.0.1:0", QueueBytesMax: 8 << 20}); err != nil {
			return 0, err
		}
		defer ends[i].Close()
		local := network.Local{Identity: membership.Identity{ID: membership.NodeID(i + 1), Incarnation: 1}, StartCounter: 1, Nonce: uint64(i + 1)}
		if err = ends[i].Start(local, nil, h); err != nil {
			return 0, err
		}
	}
	ends[0].SetAddress(2, ends[1].Address())
	header := core.Header{Group: 1, From: membership.Identity{ID: 1, Incarnation: 1}, To: membership.Identity{ID: 2, Incarnation: 1}}
	send := func(data []byte) error {
		for m := (&core.SnapshotChunk{Header: header, Data: data}); !ends[0].Send(m); {
			select {
			case <-time.After(100 * time.Microsecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	if err := send(nil); err != nil { // the connection is made
		return 0, err
	}
	begun := time.Now()
	for left := s.bytes; left > 0; {
		data := make([]byte, min(left, uint64(chunk)))
		copy(data, fillerBlock)
		if err := send(data); err != nil {
			return 0, err
		}
		left -= uint64(len(data))
	}
	select {
	case <-to.done:
		return time.Since(begun), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
