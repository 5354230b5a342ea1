package core

import (
	"errors"
	"testing"
	"time"
)

// TestLostConfiguration: a durable machine can hold all that the log has purged
// while the only snapshot that had the configuration is damaged. Such a node
// would neither campaign nor know that it should, and build snapshots without a
// configuration.
func TestLostConfiguration(t *testing.T) {
	s := rigState(rigOptions{terms: []Term{1, 1, 1}, purged: 3, applied: 4})
	if _, err := NewEngine(testConfig(rigPeers[0]), s, Instant(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.Snapshot = SnapshotMeta{}
	if _, err := NewEngine(testConfig(rigPeers[0]), s, Instant(time.Hour)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("without its snapshot: %v", err)
	}
}
