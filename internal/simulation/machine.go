package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// keys is how many registers a state machine has.
const keys = 4

// operation is what a command does to a register.
type operation uint8

const (
	operationPut operation = iota + 1
	operationCAS
	operationAppend
)

// command is a write of a client. id is unique, and never 0.
type command struct {
	operation operation
	key       uint8
	id        uint64
	old       uint64 // of CAS: what the register must hold
}

const commandBytes = 18

// encode writes c, with padding behind it.
func (c command) encode(padding int) []byte {
	b := make([]byte, commandBytes+padding)
	b[0], b[1] = byte(c.operation), c.key
	binary.LittleEndian.PutUint64(b[2:], c.id)
	binary.LittleEndian.PutUint64(b[10:], c.old)
	for i := range padding {
		b[commandBytes+i] = byte(c.id + uint64(i))
	}
	return b
}

func decodeCommand(b []byte) command {
	return command{operation(b[0]), b[1], binary.LittleEndian.Uint64(b[2:]), binary.LittleEndian.Uint64(b[10:])}
}

// machineState is the state that the registers and the hash chain make up. It
// is a value: a copy is a view.
type machineState struct {
	applied   core.LogID
	chain     uint64 // over all that was ever applied, and every result
	registers [keys]uint64
}

// apply carries out one entry and returns its result.
func (s *machineState) apply(e *core.Entry) []byte {
	s.applied = e.LogID
	s.chain = mix(mix(s.chain, uint64(e.Term)), uint64(e.Index)<<8|uint64(e.Kind))
	s.chain = hashBytes(mix(s.chain, uint64(e.Time)), e.Data)
	if e.Kind != core.EntryCommand {
		return nil
	}
	c := decodeCommand(e.Data)
	r := &s.registers[c.key%keys]
	before := *r
	switch c.operation {
	case operationPut:
		*r = c.id
	case operationCAS:
		if *r == c.old {
			*r = c.id
		}
	case operationAppend:
		*r = mix(*r, c.id)
	}
	s.chain = mix(s.chain, *r)
	result := binary.LittleEndian.AppendUint64(nil, before)
	result = binary.LittleEndian.AppendUint64(result, *r)
	return binary.LittleEndian.AppendUint64(result, s.chain)
}

const machineStateBytes = 16 + 8 + keys*8

func (s *machineState) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(s.applied.Term))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.applied.Index))
	b = binary.LittleEndian.AppendUint64(b, s.chain)
	for _, r := range s.registers {
		b = binary.LittleEndian.AppendUint64(b, r)
	}
	return b
}

func decodeMachineState(b []byte) machineState {
	var s machineState
	next := func() uint64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	s.applied = core.LogID{Term: core.Term(next()), Index: core.Index(next())}
	s.chain = next()
	for i := range s.registers {
		s.registers[i] = next()
	}
	return s
}

// filler returns the bytes that a snapshot carries beside the state, so that it
// takes several chunks.
func (s *machineState) filler(size int) []byte {
	b := make([]byte, size)
	h := s.chain
	for i := range b {
		if i%8 == 0 {
			h = mix(h, uint64(i))
		}
		b[i] = byte(h >> (i % 8 * 8))
	}
	return b
}

// machine is the state machine of one replica.
type machine struct {
	replica *replica
	state   machineState
	// restores counts the restores that have ended, batches those that were applied.
	restores, batches int
}

// volatileMachine keeps nothing over a restart.
type volatileMachine struct {
	storage.Volatile
	*machine
}

// durableMachine writes its state to the disk with each batch, or with some.
type durableMachine struct{ *machine }

func (m durableMachine) Applied() (core.LogID, error) { return m.replica.store.machine.applied, nil }

func (m durableMachine) Apply(ctx context.Context, entries []core.Entry) ([][]byte, error) {
	d := m.replica.store
	m.replica.group.check.durable(d, entries)
	m.batches++
	if m.batches%max(m.replica.sim.plan.saveEvery, 1) != 0 {
		return m.machine.Apply(ctx, entries)
	}
	if err := d.spend(); err != nil {
		return nil, err
	}
	results, err := m.machine.Apply(ctx, entries)
	d.machine = m.state
	return results, err
}

func (m durableMachine) Restore(ctx context.Context, r io.Reader) error {
	d := m.replica.store
	if err := d.spend(); err != nil {
		return err
	}
	err := m.machine.Restore(ctx, r)
	d.machine = m.state
	return err
}

func (m *machine) Apply(_ context.Context, entries []core.Entry) ([][]byte, error) {
	results := make([][]byte, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Index != m.state.applied.Index+1 {
			m.replica.group.check.fail("state machine: an entry twice, or a hole", "%v applies %v after %v", m.replica, e.LogID, m.state.applied)
		}
		results[i] = m.state.apply(e)
		m.replica.group.check.applied(m.replica, e, &m.state, results[i])
	}
	return results, nil
}

func (m *machine) View() (storage.SnapshotView, error) {
	return &view{m.state, m.replica.sim.plan.fillerBytes}, nil
}

func (m *machine) Restore(_ context.Context, r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(content) < machineStateBytes {
		return errors.New("simulation: a snapshot is too short")
	}
	s := decodeMachineState(content)
	m.replica.group.check.restored(m.replica, &s, content)
	m.state = s
	m.restores++
	return nil
}

type view struct {
	state  machineState
	filler int
}

func (v *view) WriteTo(w io.Writer) (int64, error) {
	written := 0
	for _, part := range [][]byte{v.state.encode(), v.state.filler(v.filler)} {
		n, err := w.Write(part)
		written += n
		if err != nil {
			return int64(written), err
		}
	}
	return int64(written), nil
}

func (v *view) Close() error { return nil }
