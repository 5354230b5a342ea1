package storagetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// The tests of this package give good stores one fault each that the contracts
// forbid, and expect that the suite fails. A suite fails the test that it is run
// in, so each fault gets a process of its own: the test binary again.

// fault is one, with the case that has to catch it.
type fault[S any] struct {
	name string
	// caught is the case, says what its message must tell.
	caught, says string
	alter        S
}

// catches expects that the suite, which test runs for the fault that variable
// names, fails in the case that is named, and says why. Without a fault all
// these cases pass.
func catches[S any](t *testing.T, test, variable string, faults []fault[S]) {
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		var cases []string
		for _, f := range faults {
			cases = append(cases, f.caught)
		}
		if out, failed := runSuite(t, "^"+test+"$/^("+strings.Join(cases, "|")+")$", variable, "none"); failed {
			t.Fatalf("the store without a fault does not pass:\n%s", out)
		}
	})
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			out, failed := runSuite(t, "^"+test+"$/^"+f.caught+"$", variable, f.name)
			switch {
			case !failed:
				t.Fatalf("case %s lets a store pass that %s", f.caught, f.name)
			case !strings.Contains(out, "--- FAIL: "+test+"/"+f.caught+" "):
				t.Fatalf("something else than case %s has failed:\n%s", f.caught, out)
			case !regexp.MustCompile(f.says).MatchString(out):
				t.Fatalf("case %s does not say %q:\n%s", f.caught, f.says, out)
			}
		})
	}
}

// named returns the fault that variable names, and skips the test if it names
// none: it runs for another test only.
func named[S any](t *testing.T, variable string, faults []fault[S]) (alter S) {
	name, set := os.LookupEnv(variable)
	if !set {
		t.Skip("runs for the faults of another test")
	}
	i := slices.IndexFunc(faults, func(f fault[S]) bool { return f.name == name })
	if i < 0 && name != "none" {
		t.Fatalf("there is no fault %q", name)
	}
	if i >= 0 {
		alter = faults[i].alter
	}
	return alter
}

// runSuite runs the tests of a pattern in a process with a variable.
func runSuite(t *testing.T, pattern, variable, value string) (output string, failed bool) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run="+pattern)
	cmd.Env = append(os.Environ(), variable+"="+value)
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out), err != nil
}

// altered is storage/memory with some of its calls replaced. Each opening makes
// another one.
type altered struct {
	*memory.Store
	header  func() storage.Header
	limits  func() storage.Limits
	promise func(context.Context, time.Duration) error
	refuse  func(context.Context, string) error
	peers   func() []storage.Peer
	keep    func(context.Context, storage.Peer) error
	load    func(context.Context, membership.GroupID) (storage.State, error)
	write   func(context.Context, *storage.Batch) error
	read    func(ctx context.Context, g membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error)
}

func newAltered(s *memory.Store) *altered {
	return &altered{Store: s, header: s.Header, limits: s.Limits, promise: s.RecordPromise, refuse: s.Refuse, peers: s.Peers, keep: s.KeepPeer,
		load: s.Load, write: s.Write, read: s.Read}
}

func (a *altered) Header() storage.Header { return a.header() }
func (a *altered) Limits() storage.Limits { return a.limits() }
func (a *altered) RecordPromise(ctx context.Context, d time.Duration) error {
	return a.promise(ctx, d)
}
func (a *altered) Refuse(ctx context.Context, reason string) error    { return a.refuse(ctx, reason) }
func (a *altered) Peers() []storage.Peer                              { return a.peers() }
func (a *altered) KeepPeer(ctx context.Context, p storage.Peer) error { return a.keep(ctx, p) }
func (a *altered) Write(ctx context.Context, b *storage.Batch) error  { return a.write(ctx, b) }
func (a *altered) Load(ctx context.Context, g membership.GroupID) (storage.State, error) {
	return a.load(ctx, g)
}
func (a *altered) Read(ctx context.Context, g membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
	return a.read(ctx, g, first, last, bytesMax)
}

// operations changes copies of all operations before they are written.
func (a *altered) operations(change func(*storage.Operation)) {
	inner := a.write
	a.write = func(ctx context.Context, b *storage.Batch) error {
		b = &storage.Batch{Operations: slices.Clone(b.Operations)}
		for i := range b.Operations {
			change(&b.Operations[i])
		}
		return inner(ctx, b)
	}
}

// loads changes what Load returns.
func (a *altered) loads(change func(membership.GroupID, *storage.State)) {
	inner := a.load
	a.load = func(ctx context.Context, g membership.GroupID) (storage.State, error) {
		s, err := inner(ctx, g)
		if err == nil {
			change(g, &s)
		}
		return s, err
	}
}

// shelf keeps stores under the names of directories.
type shelf struct {
	alter func(*altered)
	// opening, if not nil, is in the place of Reopen and Inspect.
	opening func(inspect bool, s *memory.Store) error
	mu      sync.Mutex
	stores  map[string]*memory.Store
}

func (f *shelf) open(dir string, node membership.NodeID) (storage.LogStore, error) {
	return f.get(dir, node, false)
}

func (f *shelf) inspect(dir string, node membership.NodeID) (storage.LogStore, error) {
	return f.get(dir, node, true)
}

func (f *shelf) get(dir string, node membership.NodeID, inspect bool) (storage.LogStore, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stores == nil {
		f.stores = make(map[string]*memory.Store)
	}
	s, err := f.stores[dir], error(nil)
	switch {
	case s == nil && inspect:
		return nil, storage.ErrNotFound
	case s == nil:
		s = memory.New(node)
		f.stores[dir] = s
	case s.Header().Node != node:
		return nil, &storage.WrongNodeError{Store: dir, Node: node, Owner: s.Header().Node}
	case f.opening != nil:
		err = f.opening(inspect, s)
	case inspect:
		err = s.Inspect()
	default:
		err = s.Reopen()
	}
	if errors.Is(err, errOpenAnyhow) {
		if err = s.Reopen(); err != nil {
			err = s.Inspect()
		}
	}
	a := newAltered(s)
	if f.alter != nil {
		f.alter(a)
	}
	return a, err
}
