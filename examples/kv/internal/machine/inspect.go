package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/badgerwal"
)

// Found is what the directory of a machine holds.
type Found struct {
	// Applied is the last entry whose effects are durable, Pairs how many pairs there are.
	Applied core.LogID
	Pairs   uint64
}

// inspectLimits are those of what a machine writes.
var inspectLimits = badgerwal.Limits{KeyBytesMax: KeyBytesMax + 64, ValueBytesMax: ValueBytesMax + 64}

// InspectBadger looks at a machine's directory that nobody uses, and changes nothing in
// it, also after a kill. With verify it reads all of it and compares the checksums. A
// directory that is not there is one of an empty machine. Damage is an error that wraps
// core.ErrCorrupt; what the system refuses is none, and neither is the end of ctx.
func InspectBadger(ctx context.Context, dir string, verify bool) (found Found, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	aside, memTable, err := inspectLimits.Aside(dir)
	if err != nil {
		return found, fmt.Errorf("machine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(aside)) }()
	if err := ctx.Err(); err != nil {
		return found, err
	}
	opts := databaseOptions(aside, slog.New(slog.DiscardHandler)).WithReadOnly(true).
		WithMemTableSize(max(memTableBytes, memTable)).WithChecksumVerificationMode(options.NoVerification)
	db, err := badger.Open(opts)
	if err != nil {
		return found, inspectError(dir, err)
	}
	m := &Badger{db: db, logger: slog.New(slog.DiscardHandler)}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(txn *badger.Txn) (err error) {
		m.state, err = readState(txn)
		return err
	})
	found = Found{m.state.applied, m.state.pairs}
	if err != nil {
		return found, inspectError(dir, err)
	}
	if !verify {
		return found, nil
	}
	if err := db.VerifyChecksum(); err != nil {
		return found, inspectError(dir, err)
	}
	if err := ctx.Err(); err != nil {
		return found, err
	}
	// A view that is written out counts its pairs.
	view, err := m.View()
	if err != nil {
		return found, err
	}
	_, err = view.WriteTo(ending{ctx})
	if err = errors.Join(err, view.Close()); ctx.Err() != nil {
		return found, ctx.Err()
	} else if err != nil {
		return found, inspectError(dir, err)
	}
	return found, nil
}

// ending takes what is written, until its context ends.
type ending struct{ ctx context.Context }

// Write implements io.Writer.
func (e ending) Write(p []byte) (int, error) { return len(p), e.ctx.Err() }

// inspectError sorts an error of badger's. What the system refuses is no damage: whoever
// hears of damage may remove a good database.
func inspectError(dir string, err error) error {
	err, refused := badgerwal.Refusal(err)
	if refused || errors.Is(err, core.ErrCorrupt) {
		return fmt.Errorf("machine: %s: %w", dir, err)
	}
	return fmt.Errorf("machine: %s: %w: %w", dir, core.ErrCorrupt, err)
}
