package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// Options of a store. Only Node must be set.
type Options struct {
	// Node is the node that the store belongs to, or will belong to. For
	// inspection it may be 0, which is any node.
	Node membership.NodeID
	// Inspect opens the store for reading only: no file of it is changed, and it may be one
	// that was refused. What a killed process left is replayed in memory, and in a
	// directory of the system's for temporary files, which needs room for badger's
	// write-ahead logs. It is not there on Windows.
	Inspect bool
	// Logger gets what badger says, and damage. nil discards it. Nothing waits for
	// it: if it is slow or fails, lines are lost (Store.LinesDropped) and nothing
	// else.
	Logger *slog.Logger
	// FreeBytesMin: a write is refused with *storage.NoSpaceError when less is
	// free on the file system; badger cannot survive a full disk. An opening, and a
	// batch that does nothing but purge, need a fourth of it. The system is
	// asked ten times a second, and before a thirty-second of what was free beyond
	// the limit is written. 0 means 256 MiB, a negative number turns the guard off.
	// While less than twice of it is free, Store.NearlyFull says so.
	FreeBytesMin int64
	// MemTableBytes is the size of badger's memory tables, of which two or three
	// are held at a time; 0 means 32 MiB, at least 8 MiB. A transaction takes
	// at most 15 % of it, which bounds the entries: see Limits. 32 MiB is the
	// smallest power of two in which an entry of 4 MiB fits.
	MemTableBytes int64
	// WatermarkDelay is how late the watermark file may be. 0 means one second.
	WatermarkDelay time.Duration
	// PurgeDelay is how long purged entries are collected before their space is
	// reclaimed. 0 means one second.
	PurgeDelay time.Duration

	// freeBytes tells the free space; tests replace it.
	freeBytes func(dir string) (uint64, error)
	// stillTables: nothing is compacted.
	stillTables bool
}

// stillTablesMax is how many tables there may be if nothing is compacted.
const stillTablesMax = 1 << 20

const (
	chunkBytesMax = 256 << 10
	// pieceBytesMax keeps a value below the threshold of 1 MiB.
	pieceBytesMax    = 512 << 10
	deletesMax       = 4096
	batchEntriesMax  = 1 << 16
	memTableBytesMin = 8 << 20
	// reservedBytes of a transaction are for what a batch causes beside its
	// entries: a rewritten chunk, deletions, the records of the group.
	reservedBytes = 640 << 10
)

func (o *Options) complete() error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FreeBytesMin == 0 {
		o.FreeBytesMin = 256 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 32 << 20
	}
	if o.WatermarkDelay == 0 {
		o.WatermarkDelay = time.Second
	}
	if o.PurgeDelay == 0 {
		o.PurgeDelay = time.Second
	}
	if o.freeBytes == nil {
		o.freeBytes = disk.FreeBytes
	}
	switch {
	case o.Node == 0 && !o.Inspect:
		return errors.New("badger: Options.Node is 0: node ids begin at 1")
	case o.MemTableBytes < memTableBytesMin:
		return fmt.Errorf("badger: Options.MemTableBytes %d is below %d", o.MemTableBytes, memTableBytesMin)
	case o.WatermarkDelay < 0:
		return fmt.Errorf("badger: Options.WatermarkDelay %v is negative", o.WatermarkDelay)
	case o.PurgeDelay < 0:
		return fmt.Errorf("badger: Options.PurgeDelay %v is negative", o.PurgeDelay)
	}
	return nil
}

func (o *Options) badger(dir string) badger.Options {
	b := badger.DefaultOptions(dir)
	b.SyncWrites = false // wal syncs
	b.MemTableSize = o.MemTableBytes
	b.NumMemtables = 2
	b.NumLevelZeroTables = 2
	b.NumLevelZeroTablesStall = 8
	b.NumCompactors = 2
	b.Compression = options.None
	b.BlockCacheSize = 0
	b.IndexCacheSize = 0 // used for encrypted tables only
	b.ValueLogFileSize = 16 << 20
	b.DetectConflicts = false
	b.NumVersionsToKeep = 1
	b.MetricsEnabled = false
	b.CompactL0OnClose = false
	// verifyFiles has read all tables before badger opens them; badger itself
	// would leave a bad one out.
	b.ChecksumVerificationMode = options.NoVerification
	b.Logger = badgerLogger{o.Logger, dir}
	if o.stillTables {
		b.NumCompactors, b.NumLevelZeroTablesStall = 0, stillTablesMax
	}
	return b
}

// limits of a store on db. One operation within them fits one transaction.
func limits(db *badger.DB) storage.Limits {
	batch := int(db.MaxBatchSize()) - reservedBytes
	return storage.Limits{
		EntryBytesMax:   batch - core.EntryOverheadBytes,
		BatchBytesMax:   batch,
		BatchEntriesMax: batchEntriesMax,
	}
}

// badgerLogger says what badger says. Its information is for debugging only.
type badgerLogger struct {
	logger *slog.Logger
	dir    string
}

func (l badgerLogger) Errorf(format string, args ...any) {
	l.refused(args)
	l.logger.Error(text(format, args))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.refused(args)
	l.logger.Warn(text(format, args))
}

func (l badgerLogger) Infof(format string, args ...any) { l.logger.Debug(text(format, args)) }
func (l badgerLogger) Debugf(string, ...any)            {}

// refused mends the manifest if one of the things that badger tells, before it tries
// again, is an error of it.
func (l badgerLogger) refused(told []any) {
	for _, one := range told {
		if err, ok := one.(error); !ok || !strings.Contains(err.Error(), badger.ManifestFilename) {
			continue
		}
		if err := writeManifestAgain(l.dir); err != nil {
			l.logger.Error("badger: the manifest cannot be written again", "error", err)
		}
		return
	}
}

func text(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}
