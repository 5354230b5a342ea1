package badger

import (
	"math"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// versions numbers the transactions. Badger would do it too, by way of four
// messages to two goroutines a transaction; in its managed mode it leaves it to
// its user, who then also says what no reader needs any more.
type versions struct {
	db *badger.DB

	mu sync.Mutex
	// last is the version of the newest transaction that is durable, or need
	// not be.
	last uint64
	// readers counts the transactions that read, by what they read at.
	readers map[uint64]int
}

func (v *versions) start(db *badger.DB) {
	v.db, v.last, v.readers = db, db.MaxVersion(), make(map[uint64]int)
	db.SetDiscardTs(v.last)
}

// read begins a transaction that sees everything durable. It ends with done.
func (v *versions) read() *badger.Txn {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.readers[v.last]++
	return v.db.NewTransactionAt(v.last, false)
}

func (v *versions) done(txn *badger.Txn) {
	at := txn.ReadTs()
	txn.Discard()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.readers[at]--; v.readers[at] == 0 {
		delete(v.readers, at)
	}
}

// write begins the transaction of the one who writes; commit or Discard ends it.
func (v *versions) write() *badger.Txn {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.db.NewTransactionAt(v.last, true)
}

// commit commits the writer's transaction and returns its version, which nobody
// sees before advance.
func (v *versions) commit(txn *badger.Txn) (version uint64, _ error) {
	version = txn.ReadTs() + 1
	return version, txn.CommitAt(version, nil)
}

// advance lets readers see a version. What is older than all of them see may be
// dropped from then on.
func (v *versions) advance(version uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = version
	oldest := uint64(math.MaxUint64)
	for at := range v.readers {
		oldest = min(oldest, at)
	}
	v.db.SetDiscardTs(min(oldest, version))
}
