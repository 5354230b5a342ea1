package storagetest_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/storagetest"
)

// chain is a machine that holds the sum of its commands, each times its place, and
// keeps it over a restart.
type chain struct {
	applied core.LogID
	count   uint64
	sum     uint64
}

func (c *chain) Apply(_ context.Context, entries []core.Entry) ([][]byte, error) {
	results := make([][]byte, len(entries))
	for i, e := range entries {
		c.applied = e.LogID
		if e.Kind != core.EntryCommand {
			continue
		}
		c.count++
		c.sum += c.count * binary.LittleEndian.Uint64(e.Data)
		results[i] = binary.LittleEndian.AppendUint64(nil, c.sum)
	}
	return results, nil
}

func (c *chain) Applied() (core.LogID, error) { return c.applied, nil }

func (c *chain) View() (storage.SnapshotView, error) { return chainView(*c), nil }

func (c *chain) Restore(_ context.Context, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(b) != 32 {
		return errors.New("not a chain")
	}
	c.applied = core.LogID{Term: core.Term(binary.LittleEndian.Uint64(b)), Index: core.Index(binary.LittleEndian.Uint64(b[8:]))}
	c.count, c.sum = binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	return nil
}

type chainView chain

func (v chainView) WriteTo(w io.Writer) (int64, error) {
	var b []byte
	for _, n := range []uint64{uint64(v.applied.Term), uint64(v.applied.Index), v.count, v.sum} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	n, err := w.Write(b)
	return int64(n), err
}

func (v chainView) Close() error { return nil }

// volatileChain forgets everything.
type volatileChain struct {
	storage.Volatile
	chain
}

func (v *volatileChain) Applied() (core.LogID, error) { return v.Volatile.Applied() }

func command(i int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(i*i+1)) }

func TestStateMachine(t *testing.T) {
	t.Run("durable", func(t *testing.T) {
		storagetest.StateMachine(t, storagetest.Machine{
			New:     func(*testing.T) storage.StateMachine { return &chain{} },
			Command: command,
			Content: func(_ *testing.T, m storage.StateMachine) string { return fmt.Sprint(m.(*chain).count, m.(*chain).sum) },
			Reopen: func(_ *testing.T, m storage.StateMachine) storage.StateMachine {
				c := *m.(*chain)
				return &c
			},
		})
	})
	t.Run("volatile", func(t *testing.T) {
		storagetest.StateMachine(t, storagetest.Machine{
			New:     func(*testing.T) storage.StateMachine { return &volatileChain{} },
			Command: command,
			Content: func(_ *testing.T, m storage.StateMachine) string {
				return fmt.Sprint(m.(*volatileChain).count, m.(*volatileChain).sum)
			},
		})
	})
}
