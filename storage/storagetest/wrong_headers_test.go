package storagetest_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

func (a *altered) kept(id membership.Identity) (found storage.Peer, _ bool) {
	i := slices.IndexFunc(a.peers(), func(p storage.Peer) bool { return p.Identity == id })
	if i < 0 {
		return found, false
	}
	return a.peers()[i], true
}

// overlay lets the store say of some peers what it does not hold.
func (a *altered) overlay() map[membership.Identity]storage.Peer {
	over := make(map[membership.Identity]storage.Peer)
	inner := a.peers
	a.peers = func() []storage.Peer {
		all := inner()
		for i := range all {
			if p, found := over[all[i].Identity]; found {
				all[i] = p
			}
		}
		return all
	}
	return over
}

// hardStates changes every hard state that is written.
func (a *altered) hardStates(change func(*core.HardState)) {
	a.operations(func(op *storage.Operation) {
		if op.HardState != nil {
			other := *op.HardState
			change(&other)
			op.HardState = &other
		}
	})
}

// headerFaults are what the contract forbids, by name.
var headerFaults = map[string]func(*altered){
	"none": func(*altered) {}, // the suite must pass
	"never lowers a promise": func(a *altered) {
		longest := a.Store.Header().Promise
		a.promise = func(ctx context.Context, d time.Duration) error {
			longest = max(longest, d)
			return a.Store.RecordPromise(ctx, longest)
		}
	},
	"lowers a promise in later lives only": func(a *altered) {
		longest := time.Duration(0)
		a.promise = func(ctx context.Context, d time.Duration) error {
			longest = max(longest, d)
			return a.Store.RecordPromise(ctx, longest)
		}
	},
	"takes a promise of nothing for none": func(a *altered) {
		a.promise = func(ctx context.Context, d time.Duration) error {
			if d == 0 {
				return ctx.Err()
			}
			return a.Store.RecordPromise(ctx, d)
		}
	},
	"keeps promises in milliseconds": func(a *altered) {
		a.promise = func(ctx context.Context, d time.Duration) error {
			return a.Store.RecordPromise(ctx, d.Truncate(time.Millisecond))
		}
	},
	"records a negative promise": func(a *altered) {
		a.promise = func(ctx context.Context, d time.Duration) error { return a.Store.RecordPromise(ctx, max(d, 0)) }
	},
	"tells the promise that was recorded since": func(a *altered) {
		h := a.Store.Header()
		a.header = func() storage.Header { return h }
		a.promise = func(ctx context.Context, d time.Duration) error {
			h.Promise = d
			return a.Store.RecordPromise(ctx, d)
		}
	},
	"forgets a refusal": func(a *altered) {
		a.refuse = func(ctx context.Context, reason string) error {
			if reason == "" {
				return errors.New("no reason")
			}
			a.write = func(context.Context, *storage.Batch) error { return &storage.RefusedError{Store: "x", Reason: reason} }
			a.promise = func(context.Context, time.Duration) error { return &storage.RefusedError{Store: "x", Reason: reason} }
			return ctx.Err()
		}
	},
	"records promises after a refusal": func(a *altered) {
		inner := a.promise
		a.promise = func(ctx context.Context, d time.Duration) error {
			err := inner(ctx, d)
			if errors.As(err, new(*storage.RefusedError)) {
				return nil
			}
			return err
		}
	},
	"writes after a refusal": func(a *altered) {
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			err := inner(ctx, b)
			if errors.As(err, new(*storage.RefusedError)) {
				return nil
			}
			return err
		}
	},
	"fails for a second refusal": func(a *altered) {
		refused := false
		a.refuse = func(ctx context.Context, reason string) error {
			if refused {
				return errors.New("refused already")
			}
			refused = true
			return a.Store.Refuse(ctx, reason)
		}
	},
	"keeps ten bytes of a reason": func(a *altered) {
		a.refuse = func(ctx context.Context, reason string) error {
			return a.Store.Refuse(ctx, reason[:min(10, len(reason))])
		}
	},
	"refuses without a reason": func(a *altered) {
		a.refuse = func(ctx context.Context, reason string) error { return a.Store.Refuse(ctx, cmp.Or(reason, "none")) }
	},
	"tells a refusal of its own life": func(a *altered) {
		h := a.Store.Header()
		a.header = func() storage.Header { return h }
		a.refuse = func(ctx context.Context, reason string) error {
			h.Refused = reason
			return a.Store.Refuse(ctx, reason)
		}
	},
	"returns peers as they were kept": func(a *altered) {
		a.peers = func() []storage.Peer {
			all := a.Store.Peers()
			slices.Reverse(all)
			return all
		}
	},
	"returns its own peers": func(a *altered) {
		var own []storage.Peer
		a.peers = func() []storage.Peer {
			if own == nil {
				own = a.Store.Peers()
			}
			return own
		}
		a.keep = func(ctx context.Context, p storage.Peer) error {
			own = nil
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"takes another nonce": func(a *altered) {
		over := a.overlay()
		a.keep = func(ctx context.Context, p storage.Peer) error {
			if k, found := a.kept(p.Identity); found && k.StartCounter == p.StartCounter && k.Nonce != p.Nonce {
				over[p.Identity] = p
				return nil
			}
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"takes a lower counter in another life": func(a *altered) {
		over, seen := a.overlay(), make(map[membership.Identity]bool)
		a.keep = func(ctx context.Context, p storage.Peer) error {
			if k, found := a.kept(p.Identity); found && k.StartCounter > p.StartCounter && !seen[p.Identity] {
				over[p.Identity] = p
				return nil
			}
			seen[p.Identity] = true
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"ignores a lower counter without an error": func(a *altered) {
		a.keep = func(ctx context.Context, p storage.Peer) error {
			if k, found := a.kept(p.Identity); found && k.StartCounter > p.StartCounter {
				return nil
			}
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"keeps the address that it knew": func(a *altered) {
		a.keep = func(ctx context.Context, p storage.Peer) error {
			if k, found := a.kept(p.Identity); found && p.Address == "" {
				p.Address = k.Address
			}
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"keeps one life of a node id": func(a *altered) {
		a.peers = func() []storage.Peer {
			return slices.CompactFunc(a.Store.Peers(), func(p, q storage.Peer) bool { return p.ID == q.ID })
		}
	},
	"keeps 1,000 peers": func(a *altered) {
		a.peers = func() []storage.Peer {
			all := a.Store.Peers()
			return all[max(0, len(all)-1000):]
		}
	},
	"forgets what was kept again": func(a *altered) {
		a.keep = func(ctx context.Context, p storage.Peer) error {
			if k, found := a.kept(p.Identity); found && k == p {
				return ctx.Err()
			}
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"keeps addresses of any length": func(a *altered) {
		a.keep = func(ctx context.Context, p storage.Peer) error {
			p.Address = p.Address[:min(len(p.Address), storage.PeerAddressBytesMax)]
			return a.Store.KeepPeer(ctx, p)
		}
	},
	"drops a grant before the first term": func(a *altered) {
		a.hardStates(func(h *core.HardState) {
			if h.Term == 0 {
				h.Grant = core.Grant{}
			}
		})
	},
	"keeps half a cluster id":         func(a *altered) { a.hardStates(func(h *core.HardState) { clear(h.Cluster[8:]) }) },
	"keeps half a founding list":      func(a *altered) { a.hardStates(func(h *core.HardState) { clear(h.Grant.List[8:]) }) },
	"keeps the length of no grant":    func(a *altered) { a.hardStates(func(h *core.HardState) { h.Grant.LengthMillis = 0 }) },
	"keeps half an attempt's number":  func(a *altered) { a.hardStates(func(h *core.HardState) { h.Grant.Attempt &= 1<<32 - 1 }) },
	"keeps a grant that was released": func(a *altered) { keepGrants(a) },
	"forgets a removal":               func(a *altered) { a.hardStates(func(h *core.HardState) { h.Removed = core.LogID{} }) },
}

// keepGrants lets a hard state without a grant keep the last one.
func keepGrants(a *altered) {
	var last core.Grant
	a.hardStates(func(h *core.HardState) {
		if h.Grant.IsZero() {
			h.Grant = last
		}
		last = h.Grant
	})
}

// openingFaults are of the openings.
var openingFaults = map[string]func(inspect bool, s *memory.Store) error{
	"raises the counter by an inspection": func(inspect bool, s *memory.Store) error {
		if !inspect {
			return s.Reopen()
		}
		if err := s.Reopen(); err == nil {
			_ = s.Close()
		}
		return s.Inspect()
	},
	"opens a refused store":   func(bool, *memory.Store) error { return errOpenAnyhow },
	"inspects no refused one": func(_ bool, s *memory.Store) error { return s.Reopen() },
}

var errOpenAnyhow = errors.New("opened anyhow")

const headerFault = "TROUPE_WRONG_HEADER"

// TestWrongHeader is the suite for the one fault that the environment names.
func TestWrongHeader(t *testing.T) {
	name := os.Getenv(headerFault)
	alter, opening := headerFaults[name], openingFaults[name]
	if alter == nil && opening == nil {
		t.Skip("runs for TestSuiteCatchesWrongHeaders")
	}
	f := &shelf{alter: alter, opening: opening}
	t.Run("log", func(t *testing.T) { storagetest.LogStore(t, f.open) })
	t.Run("inspect", func(t *testing.T) { storagetest.InspectLogStore(t, f.open, f.inspect) })
}

// TestSuiteCatchesWrongHeaders runs those cases of the suites that are about the
// header, peers and hard states, and expects a failure of each faulty store.
func TestSuiteCatchesWrongHeaders(t *testing.T) {
	names := slices.Concat(slices.Collect(maps.Keys(headerFaults)), slices.Collect(maps.Keys(openingFaults)))
	slices.Sort(names)
	const cases = "^(SaveHardState|EveryFieldOfTheHardState|Header|StartCounter|Promise|Refused(For.*|Without.*)?$|Peer|Everything|NothingIsWritten|NoStore|OtherNode|ContextCancelled|Closed)"
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, failed := runSuite(t, "^TestWrongHeader$/./"+cases, headerFault, name)
			switch {
			case name == "none" && failed:
				t.Fatalf("storage/memory itself does not pass:\n%s", out)
			case name != "none" && !failed:
				t.Error("the suite lets it pass")
			}
		})
	}
}
