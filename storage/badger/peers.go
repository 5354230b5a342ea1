package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
	"github.com/trouperaft/troupe/storage/internal/peers"
)

// The peers file holds what is kept of other nodes, the one kept last at the
// end. It is only ever replaced as a whole:
//
//	header  magic 8, version 1, node 8 and incarnation 8 of the store, number of peers 4
//	peer    id 8, incarnation 8, start counter 8, nonce 8, length of the address 2, address
//	end     CRC-32C of all that 4
//
// All numbers are little endian.
const (
	peersName        = "PEERS"
	peersMagic       = "troupePE"
	peersVersion     = 1
	peersHeaderBytes = 8 + 1 + 8 + 8 + 4
	peerBytesMin     = 4*8 + 2
	peersBytesMax    = peersHeaderBytes + peers.Max*(peerBytesMin+storage.PeerAddressBytesMax) + 4
)

// peersFile keeps the peers, and the file up with them.
type peersFile struct {
	dir         string
	node        membership.NodeID
	incarnation membership.Incarnation

	// file is held while the file is written, and taken before mu.
	file sync.Mutex

	mu sync.Mutex
	// list is durable, but for the order of its end.
	list peers.List
}

// open reads the file of dir. None is an empty list.
func (p *peersFile) open(dir string, h *storage.Header) error {
	p.dir, p.node, p.incarnation = dir, h.Node, h.Incarnation
	f, err := os.Open(p.name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, peersBytesMax+1))
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	p.list, err = p.decode(b)
	return err
}

func (p *peersFile) name() string { return filepath.Join(p.dir, peersName) }

// keep makes the list with peer durable.
func (p *peersFile) keep(peer storage.Peer, room *room) error {
	p.file.Lock()
	defer p.file.Unlock()
	p.mu.Lock()
	list := p.list
	p.mu.Unlock()
	next, changed, err := list.Keep(peer)
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	if changed {
		b := p.encode(next)
		if err := room.take(len(b)); err != nil {
			return err
		}
		if err := disk.Replace(p.name(), b, true); err != nil {
			return fmt.Errorf("badger: peers: %w", err)
		}
	}
	p.mu.Lock()
	p.list = next
	p.mu.Unlock()
	return nil
}

func (p *peersFile) sorted() []storage.Peer {
	p.mu.Lock()
	list := p.list
	p.mu.Unlock()
	return list.Sorted()
}

func (p *peersFile) encode(list peers.List) []byte {
	b := append([]byte(peersMagic), peersVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.node))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.incarnation))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for i := range list {
		k := &list[i]
		for _, n := range []uint64{uint64(k.ID), uint64(k.Incarnation), k.StartCounter, k.Nonce} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(k.Address)))
		b = append(b, k.Address...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (p *peersFile) decode(b []byte) (peers.List, error) {
	bad := func(what string) (peers.List, error) {
		return nil, corrupt("%s %s; removing it loses only what was learned of other nodes' lives and addresses", p.name(), what)
	}
	const damaged = "is damaged"
	end := len(b) - 4
	if len(b) < peersHeaderBytes+4 || len(b) > peersBytesMax || string(b[:8]) != peersMagic ||
		crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return bad(damaged)
	}
	if b[8] != peersVersion {
		return nil, fmt.Errorf("badger: %s has version %d: only %d is known", p.name(), b[8], peersVersion)
	}
	node := membership.Identity{
		ID:          membership.NodeID(binary.LittleEndian.Uint64(b[9:])),
		Incarnation: membership.Incarnation(binary.LittleEndian.Uint64(b[17:])),
	}
	if node != (membership.Identity{ID: p.node, Incarnation: p.incarnation}) {
		return bad(fmt.Sprintf("belongs to the store of %v", node))
	}
	n := binary.LittleEndian.Uint32(b[25:])
	b = b[peersHeaderBytes:end]
	var list peers.List
	seen := make(map[membership.Identity]bool)
	for ; n > 0 && len(b) >= peerBytesMin; n-- {
		k := storage.Peer{StartCounter: binary.LittleEndian.Uint64(b[16:]), Nonce: binary.LittleEndian.Uint64(b[24:])}
		k.ID = membership.NodeID(binary.LittleEndian.Uint64(b))
		k.Incarnation = membership.Incarnation(binary.LittleEndian.Uint64(b[8:]))
		length := int(binary.LittleEndian.Uint16(b[32:]))
		b = b[peerBytesMin:]
		if length > len(b) {
			return bad(damaged)
		}
		k.Address, b = string(b[:length]), b[length:]
		if peers.Check(k) != nil || seen[k.Identity] || len(list) == peers.Max {
			return bad("contradicts itself")
		}
		seen[k.Identity] = true
		list = append(list, k)
	}
	if n > 0 || len(b) > 0 {
		return bad(damaged)
	}
	return list, nil
}

// Peers implements storage.LogStore.
func (s *Store) Peers() []storage.Peer { return s.peers.sorted() }

// KeepPeer implements storage.LogStore. It keeps 1,024 peers, in the file PEERS
// of the directory, which may be removed while the store is closed.
func (s *Store) KeepPeer(ctx context.Context, p storage.Peer) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.RUnlock()
	if s.options.Inspect {
		return storage.ErrInspection
	}
	return s.peers.keep(p, &s.room)
}
