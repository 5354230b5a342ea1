package machine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/trouperaft/troupe/core"
)

// Badger keeps the pairs in a badger database of its own.
//
// Each transaction writes its changes together with the LogID of the last entry
// in it, so that after a crash the pairs and the LogID are those of one and the
// same entry. Writes are synced before Apply returns. Without that, a killed
// process would lose nothing, for its pages survive it; but a machine that loses
// its power would come back with holes: badger does not sync the older of two
// memtables before it uses the newer one, so that a later batch and its LogID
// may survive an earlier one, and Applied would cover what is gone. Those syncs
// are paid for once a batch, beside the log's.
//
// Layout, numbers big-endian:
//
//	m                      version(1) generation(8) term(8) index(8) pairs(8)
//	d generation(8) key    the value, or its first part
//	e generation(8) key    the rest of a value longer than a part
//
// Only pairs of the generation that m names are there; Restore writes another
// generation and switches with one transaction, then removes the old one.
//
// Badger verifies checksums of its tables and not of their mapped logs: damage
// done to its directory by others may show as lost pairs, which the count in m
// betrays at the next snapshot.
type Badger struct {
	db     *badger.DB
	logger *slog.Logger
	// open is held for reading by whoever uses the database.
	open   sync.RWMutex
	closed bool
	// state is what m says. The caller of Apply, View and Restore owns it.
	state state
}

// state is the content of the key m.
type state struct {
	generation uint64
	applied    core.LogID
	pairs      uint64
}

const (
	stateVersion = 1
	stateBytes   = 1 + 4*8

	// partBytesMax keeps values below badger's threshold, out of its value log,
	// where nothing detects damage.
	partBytesMax = 512 << 10
	// hasRest marks a value whose rest stands under e.
	hasRest = 1

	memTableBytes = 16 << 20
	// A transaction takes 15 % of a memtable: these and one more entry.
	transactionBytesMax   = 1 << 20
	transactionChangesMax = 4 << 10

	dataPrefix = 'd'
	restPrefix = 'e'
)

var stateKey = []byte("m")

// ErrClosed: the machine was closed.
var ErrClosed = errors.New("machine: closed")

// OpenBadger opens the machine in a directory that nobody uses, and makes it if it is not
// there.
func OpenBadger(dir string, logger *slog.Logger) (*Badger, error) {
	if err := removeEmpty(dir); err != nil {
		return nil, fmt.Errorf("machine: open %s: %w", dir, err)
	}
	opts := databaseOptions(dir, logger)
	db, err := badger.Open(opts)
	if err != nil && strings.Contains(err.Error(), "Create a new file") {
		// A crash between making a file and giving it a size: the failed
		// opening has repaired it.
		db, err = badger.Open(opts)
	}
	if err != nil {
		return nil, fmt.Errorf("machine: open %s: %w", dir, err)
	}
	m := &Badger{db: db, logger: logger}
	if err := m.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("machine: open %s: %w", dir, err), db.Close())
	}
	return m, nil
}

func databaseOptions(dir string, logger *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(8).
		WithNumCompactors(2).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(8 << 20).
		WithValueLogFileSize(16 << 20).
		WithChecksumVerificationMode(options.OnTableRead).
		WithLogger(badgerLogger{logger})
}

func (m *Badger) load() error {
	err := m.db.View(func(txn *badger.Txn) (err error) {
		m.state, err = readState(txn)
		return err
	})
	if err != nil {
		return err
	}
	return m.removeOthers()
}

// readState reads m, and the first state if there is none.
func readState(txn *badger.Txn) (state, error) {
	var s state
	item, err := txn.Get(stateKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return state{generation: 1}, nil
	}
	if err != nil {
		return s, err
	}
	return s, item.Value(func(b []byte) error {
		if len(b) != stateBytes || b[0] != stateVersion {
			return fmt.Errorf("machine: unknown version of the database: %w", core.ErrCorrupt)
		}
		s.generation = binary.BigEndian.Uint64(b[1:])
		s.applied.Term = core.Term(binary.BigEndian.Uint64(b[9:]))
		s.applied.Index = core.Index(binary.BigEndian.Uint64(b[17:]))
		s.pairs = binary.BigEndian.Uint64(b[25:])
		return nil
	})
}

func (s *state) encode() []byte {
	b := append(make([]byte, 0, stateBytes), stateVersion)
	b = binary.BigEndian.AppendUint64(b, s.generation)
	b = binary.BigEndian.AppendUint64(b, uint64(s.applied.Term))
	b = binary.BigEndian.AppendUint64(b, uint64(s.applied.Index))
	return binary.BigEndian.AppendUint64(b, s.pairs)
}

func generationKey(prefix byte, generation uint64, key string) []byte {
	b := append(make([]byte, 0, 9+len(key)), prefix)
	b = binary.BigEndian.AppendUint64(b, generation)
	return append(b, key...)
}

// Applied implements storage.StateMachine.
func (m *Badger) Applied() (core.LogID, error) { return m.state.applied, nil }

// Get implements Machine. It reads in a transaction of its own, in which the
// generation and its pairs belong together.
func (m *Badger) Get(key string) ([]byte, bool, error) {
	if !m.enter() {
		return nil, false, ErrClosed
	}
	defer m.open.RUnlock()
	txn := m.db.NewTransaction(false)
	defer txn.Discard()
	s, err := readState(txn)
	if err != nil {
		return nil, false, err
	}
	return readPair(txn, s.generation, key)
}

func (m *Badger) enter() bool {
	m.open.RLock()
	if m.closed {
		m.open.RUnlock()
		return false
	}
	return true
}

func readPair(txn *badger.Txn, generation uint64, key string) ([]byte, bool, error) {
	item, err := txn.Get(generationKey(dataPrefix, generation, key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value, err := readValue(txn, item, generation, key)
	return value, err == nil, err
}

func readValue(txn *badger.Txn, item *badger.Item, generation uint64, key string) ([]byte, error) {
	value, err := item.ValueCopy(nil)
	if err != nil || item.UserMeta() != hasRest {
		return value, err
	}
	item, err = txn.Get(generationKey(restPrefix, generation, key))
	if err != nil {
		return nil, fmt.Errorf("machine: the rest of the value of %q: %w", key, err)
	}
	return value, item.Value(func(rest []byte) error {
		value = append(value, rest...)
		return nil
	})
}

// Apply implements storage.StateMachine. A batch larger than a transaction is
// written as several, each with the LogID that it reaches.
func (m *Badger) Apply(ctx context.Context, entries []core.Entry) ([][]byte, error) {
	if !m.enter() {
		return nil, ErrClosed
	}
	defer m.open.RUnlock()
	results := make([][]byte, len(entries))
	b := m.begin()
	defer func() { b.txn.Discard() }()
	for i := range entries {
		if b.bytes >= transactionBytesMax || b.changes >= transactionChangesMax {
			if err := m.commit(b); err != nil {
				return nil, err
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			b = m.begin()
		}
		result, err := b.apply(&entries[i])
		if err != nil {
			return nil, fmt.Errorf("entry %v: %w", entries[i].LogID, err)
		}
		results[i] = result
	}
	return results, m.commit(b)
}

// batch is a transaction under way, and the state that it ends in.
type batch struct {
	txn     *badger.Txn
	state   state
	bytes   int
	changes int
}

func (m *Badger) begin() *batch { return &batch{txn: m.db.NewTransaction(true), state: m.state} }

func (m *Badger) commit(b *batch) error {
	if b.state == m.state {
		return nil
	}
	if err := b.txn.Set(stateKey, b.state.encode()); err != nil {
		return err
	}
	if err := b.txn.Commit(); err != nil {
		return fmt.Errorf("machine: commit of entry %v: %w", b.state.applied, err)
	}
	m.state = b.state
	return nil
}

func (b *batch) apply(e *core.Entry) ([]byte, error) {
	if err := follows(b.state.applied, e.LogID); err != nil {
		return nil, err
	}
	b.state.applied = e.LogID
	if e.Kind != core.EntryCommand {
		return nil, nil
	}
	c, err := decode(e.Data)
	if err != nil {
		return nil, err
	}
	switch c.operation {
	case opPut:
		return nil, b.set(c.key, c.new)
	case opDelete:
		return nil, b.remove(c.key)
	}
	value, found, err := readPair(b.txn, b.state.generation, c.key)
	if err != nil {
		return nil, err
	}
	if found != (c.old != nil) || !bytes.Equal(value, c.old) {
		return notSwapped, nil
	}
	if c.new == nil {
		return swapped, b.remove(c.key)
	}
	return swapped, b.set(c.key, c.new)
}

// find reports whether the key is there, and whether its value has a rest.
func (b *batch) find(key []byte) (found, rest bool, err error) {
	item, err := b.txn.Get(key)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return false, false, nil
	case err != nil:
		return false, false, err
	}
	return true, item.UserMeta() == hasRest, nil
}

// set sets a pair. The value must not change until the transaction is over.
func (b *batch) set(key string, value []byte) error {
	dataKey := generationKey(dataPrefix, b.state.generation, key)
	found, rest, err := b.find(dataKey)
	if err != nil {
		return err
	}
	if !found {
		b.state.pairs++
	}
	entry := badger.NewEntry(dataKey, value)
	if len(value) > partBytesMax {
		entry = badger.NewEntry(dataKey, value[:partBytesMax]).WithMeta(hasRest)
		err = b.write(badger.NewEntry(generationKey(restPrefix, b.state.generation, key), value[partBytesMax:]))
	} else if rest {
		err = b.erase(generationKey(restPrefix, b.state.generation, key))
	}
	if err != nil {
		return err
	}
	return b.write(entry)
}

func (b *batch) remove(key string) error {
	dataKey := generationKey(dataPrefix, b.state.generation, key)
	found, rest, err := b.find(dataKey)
	if err != nil || !found {
		return err
	}
	b.state.pairs--
	if rest {
		if err := b.erase(generationKey(restPrefix, b.state.generation, key)); err != nil {
			return err
		}
	}
	return b.erase(dataKey)
}

func (b *batch) write(e *badger.Entry) error {
	b.changes++
	b.bytes += len(e.Key) + len(e.Value)
	return b.txn.SetEntry(e)
}

func (b *batch) erase(key []byte) error {
	b.changes++
	b.bytes += len(key)
	return b.txn.Delete(key)
}

// Close implements Machine.
func (m *Badger) Close() error {
	m.open.Lock()
	defer m.open.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	return m.db.Close()
}

// badgerLogger passes on what an operator should see.
type badgerLogger struct{ logger *slog.Logger }

func (l badgerLogger) Errorf(format string, args ...any)   { l.log(slog.LevelError, format, args) }
func (l badgerLogger) Warningf(format string, args ...any) { l.log(slog.LevelWarn, format, args) }
func (l badgerLogger) Infof(string, ...any)                {}
func (l badgerLogger) Debugf(string, ...any)               {}

func (l badgerLogger) log(level slog.Level, format string, args []any) {
	l.logger.Log(context.Background(), level, "badger: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}
