package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/peers"
)

func peerOf(id membership.NodeID, counter uint64) storage.Peer {
	return storage.Peer{Identity: membership.Identity{ID: id, Incarnation: 9}, StartCounter: counter, Nonce: counter + 100, Address: "somewhere:1"}
}

func mustKeep(t *testing.T, s *Store, p storage.Peer) {
	t.Helper()
	if err := s.KeepPeer(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// TestPeersFileRemoved: without the file nothing but the peers is lost.
func TestPeersFileRemoved(t *testing.T) {
	dir := t.TempDir()
	s := seeded(t, dir)
	mustKeep(t, s, peerOf(2, 7))
	mustClose(t, s)
	if err := os.Remove(filepath.Join(dir, peersName)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, small(1))
	defer mustClose(t, s)
	if got := s.Peers(); len(got) != 0 {
		t.Errorf("peers %+v", got)
	}
	if state, err := s.Load(t.Context(), 1); err != nil || state.Last.Index != 9 {
		t.Errorf("last %v, %v", state.Last, err)
	}
	mustKeep(t, s, peerOf(2, 1))
}

// TestPeersFileDamaged: any bit, any length and the file of another store are
// damage, whose error names the file and what is lost with it; nothing is
// changed by the attempt.
func TestPeersFileDamaged(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		s := mustOpen(t, d, small(1))
		mustKeep(t, s, peerOf(2, 7))
		mustKeep(t, s, peerOf(3, 7))
		mustClose(t, s)
	}
	name := filepath.Join(dir, peersName)
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := read(name)
	refused := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, small(1))
		if err == nil {
			mustClose(t, s)
		}
		if !errors.Is(err, core.ErrCorrupt) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, want := range []string{name, "removing it loses only"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", what, err, want)
			}
		}
	}
	refused("empty", nil)
	refused("of another store", read(filepath.Join(other, peersName)))
	refused("too long", append(bytes.Clone(whole), make([]byte, peersBytesMax)...))
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, small(1))
	defer mustClose(t, s)
	if n := s.Header().StartCounter; n != 2 {
		t.Errorf("start counter %d after attempts that failed, want 2", n)
	}
	// Every bit, every length, and what has a good checksum but makes no sense.
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 4
		if list, err := s.peers.decode(flipped); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("byte %d: %+v, %v", i, list, err)
		}
		if list, err := s.peers.decode(whole[:i]); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("cut to %d: %+v, %v", i, list, err)
		}
		if list, err := s.peers.decode(resealed(flipped)); i != 8 && err != nil && !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("byte %d, sealed again: %+v, %v", i, list, err)
		}
	}
	for what, list := range map[string]peers.List{
		"one twice":   {peerOf(2, 1), peerOf(2, 2)},
		"nobody":      {storage.Peer{}},
		"more than n": make(peers.List, peers.Max+1),
	} {
		for i := range list {
			if what == "more than n" {
				list[i] = peerOf(membership.NodeID(i+1), 1)
			}
		}
		if _, err := s.peers.decode(s.peers.encode(list)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, n := range []byte{1, 3} {
		miscounted := bytes.Clone(whole)
		miscounted[25] = n
		if list, err := s.peers.decode(resealed(miscounted)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%d peers that are two: %+v, %v", n, list, err)
		}
	}
	later := bytes.Clone(whole)
	later[8]++
	if _, err := s.peers.decode(resealed(later)); err == nil || errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a later version: %v", err)
	}
}

// resealed returns b with the checksum that it needs.
func resealed(b []byte) []byte {
	body := bytes.Clone(b[:len(b)-4])
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

// TestPeersOnAFullDisk: an error, nothing lost, and the store goes on.
func TestPeersOnAFullDisk(t *testing.T) {
	s, dir, o, free := guarded(t)
	mustKeep(t, s, peerOf(2, 1))
	want := []storage.Peer{peerOf(2, 1)}
	check := func(s *Store, what string) {
		t.Helper()
		if got := s.Peers(); !slices.Equal(got, want) {
			t.Errorf("%s: peers %+v, want %+v", what, got, want)
		}
	}
	*free = 999
	var full *storage.NoSpaceError
	if err := s.KeepPeer(t.Context(), peerOf(2, 2)); !errors.As(err, &full) {
		t.Errorf("KeepPeer below the guard: %v", err)
	}
	check(s, "below the guard")
	mustKeep(t, s, peerOf(2, 1)) // which is not written
	*free = 1 << 20
	obstacle := filepath.Join(dir, peersName+".tmp")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.KeepPeer(t.Context(), peerOf(2, 2)); err == nil {
		t.Error("kept without a file")
	}
	check(s, "without a file")
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir, o)
	defer mustClose(t, s)
	check(s, "opened again")
	mustKeep(t, s, peerOf(2, 2))
	want = []storage.Peer{peerOf(2, 2)}
	check(s, "with room")
}

// TestKeepPeerWaitsForNoWrite keeps a peer while a batch is being synced.
func TestKeepPeerWaitsForNoWrite(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small(1))
	defer mustClose(t, s)
	flush := s.wal.flush
	kept := false
	s.wal.flush = func() error {
		if err := s.KeepPeer(t.Context(), peerOf(2, 1)); err != nil {
			return err
		}
		kept = len(s.Peers()) == 1
		return flush()
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
	if !kept {
		t.Error("no peer was kept while a batch was written")
	}
}
