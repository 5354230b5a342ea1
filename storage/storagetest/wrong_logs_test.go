package storagetest_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

const logFault = "TROUPE_WRONG_LOG"

// TestWrongLog is the suite for the one fault that the environment names.
func TestWrongLog(t *testing.T) {
	f := &shelf{alter: named(t, logFault, logFaults())}
	storagetest.LogStore(t, f.open)
}

func TestSuiteCatchesWrongLogs(t *testing.T) { catches(t, "TestWrongLog", logFault, logFaults()) }

func logFaults() []fault[func(*altered)] {
	return slices.Concat(readFaults, loadFaults, writeFaults, lateFaults, refusalFaults)
}

// reading is the call of a Read.
type reading struct {
	group       membership.GroupID
	first, last core.Index
	bytesMax    int
}

// reads replaces Read. inner is what it was.
func (a *altered) reads(read func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error)) {
	before := a.read
	a.read = func(ctx context.Context, g membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
		return read(reading{g, first, last, bytesMax}, func(r reading) ([]core.Entry, error) {
			return before(ctx, r.group, r.first, r.last, r.bytesMax)
		})
	}
}

var readFaults = []fault[func(*altered)]{
	{"takes a bound above 64 KiB for none", "LimitedReadOfManyBytes", `150 entries .* want 3 entries`, func(a *altered) {
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			if r.bytesMax > 1<<16 {
				r.bytesMax = math.MaxInt
			}
			return inner(r)
		})
	}},
	{"holds the data alone against the bound", "LimitedRead", `4 entries .* want entry 1.2`, func(a *altered) {
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			bytesMax := r.bytesMax
			r.bytesMax = math.MaxInt
			entries, err := inner(r)
			n := 0
			for n < len(entries) && (n == 0 || len(entries[n].Data) <= bytesMax) {
				bytesMax -= len(entries[n].Data)
				n++
			}
			return entries[:n], err
		})
	}},
	{"leaves out what does not fit", "LimitedReadOfManyBytes", `entries 1.1 to 1.149 .* want entry 1.1 of 58 bytes`, func(a *altered) {
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			bytesMax := r.bytesMax
			r.bytesMax = math.MaxInt
			all, err := inner(r)
			return slices.DeleteFunc(slices.Clone(all), func(e core.Entry) bool { return e.Size() > bytesMax && e.Index > r.first }), err
		})
	}},
	{"reads at most 64 entries", "ReadManyEntries", `64 entries .* want 5000 entries`, func(a *altered) {
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			all, err := inner(r)
			return all[:min(len(all), 64)], err
		})
	}},
	{"reads in two steps", "ReadersBesideWrites", `one part from before a write and another from after it`, func(a *altered) {
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			all, err := inner(r)
			if len(all) < 2 {
				return all, err
			}
			all = slices.Clone(all[:len(all)/2])
			time.Sleep(50 * time.Microsecond) // writes come here
			r.first = all[len(all)-1].Index + 1
			more, err := inner(r)
			return append(all, more...), err
		})
	}},
	{"shows a write only to who comes after the next one", "ReadersBesideWrites", `what is there after none of them`, readsLate},
	{"reads the last entry that was purged", "StateAfterPurge", `Read of a purged entry|returned entry .* not all of it is in the log`, func(a *altered) {
		purged := make(map[membership.GroupID][]core.Entry)
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			for _, op := range b.Operations {
				if e, err := a.Store.Read(ctx, op.Group, op.Purge.Index, op.Purge.Index, 1); err == nil {
					purged[op.Group] = e
				}
			}
			return inner(ctx, b)
		}
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			if e := purged[r.group]; len(e) == 1 && r.first == e[0].Index {
				return e, nil
			}
			return inner(r)
		})
	}},
	{"does not read the first entry behind the purged ones", "StateAfterPurge", `Read\(2, 10\) .* not found.*, and the log is \(1.1, 2.10\]`, func(a *altered) {
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			s, err := a.Store.Load(context.Background(), r.group)
			if err == nil && s.Purged.Index > 0 && r.first == s.Purged.Index+1 {
				return nil, storage.ErrNotFound
			}
			return inner(r)
		})
	}},
	{"does not tell the sizes of the entries", "SizesOfTheEntries", `sizes of 0 bytes up to entry 0, want \d+ up to 1000`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) { s.Sizes = core.LogSizes{} })
	}},
	{"tells the sizes of purged entries", "SizesOfTheEntries", `purged up to 333: sizes of \d+ bytes`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) {
			if s.Purged.Index > 0 {
				s.Sizes.Append([]core.Entry{{LogID: s.Last, Data: make([]byte, 333)}})
			}
		})
	}},
	{"leaves the end of the old log behind a shorter new one", "TruncateThroughBatches", `returned entry .* not all of it is in the log`, func(a *altered) {
		old := make(map[membership.GroupID][]core.Entry)
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			for _, op := range b.Operations {
				if s, err := a.Store.Load(ctx, op.Group); err == nil && op.TruncateFrom != 0 && len(op.Append) > 0 {
					old[op.Group], _ = a.Store.Read(ctx, op.Group, op.TruncateFrom, s.Last.Index, math.MaxInt)
				}
			}
			return inner(ctx, b)
		}
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			entries, err := inner(r)
			if n := slices.IndexFunc(old[r.group], func(e core.Entry) bool { return e.Index == r.first }); err != nil && n >= 0 {
				return old[r.group][n : n+1], nil
			}
			return entries, err
		})
	}},
	{"reads into the memory of the last Read", "ReadsStayAsTheyAre", `what a Read returned before .* is not the same any more`, func(a *altered) {
		buffer := make([]core.Entry, 0, 1000)
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			all, err := inner(r)
			if err == nil {
				buffer = append(buffer[:0], all...)
				all = buffer
			}
			return all, err
		})
	}},
}

// readsLate lets reads see the log before the last write, until it is opened
// again.
func readsLate(a *altered) {
	var mu sync.Mutex
	shown, next := memory.New(1), (*storage.Batch)(nil)
	inner := a.write
	a.write = func(ctx context.Context, b *storage.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		if next != nil {
			if err := shown.Write(ctx, next); err != nil {
				return err
			}
		}
		next = b
		return inner(ctx, b)
	}
	a.read = func(ctx context.Context, g membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
		return shown.Read(ctx, g, first, last, bytesMax)
	}
}

var loadFaults = []fault[func(*altered)]{
	{"loads a state of two moments", "LoadsBesideWrites", `one part from before a write and another from after it`, func(a *altered) {
		inner := a.load
		a.load = func(ctx context.Context, g membership.GroupID) (storage.State, error) {
			before, err := inner(ctx, g)
			if err != nil {
				return before, err
			}
			time.Sleep(50 * time.Microsecond) // writes come here
			s, err := inner(ctx, g)
			s.Terms, s.HardState = before.Terms, before.HardState
			return s, err
		}
	}},
	{"loads the last 20 term runs", "ManyTermRuns", `20 term runs, want 1200`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) { s.Terms = s.Terms[max(0, len(s.Terms)-20):] })
	}},
	{"loads the last 8 configurations", "ManyConfigurations", `8 configurations, want 100`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) {
			s.Configurations = s.Configurations[max(0, len(s.Configurations)-8):]
		})
	}},
	{"loads 16 members of a configuration", "LargeConfiguration", `17 members: .* 16 members and 17 wanted, want 17 and 17`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) {
			for i := range s.Configurations {
				c := &s.Configurations[i].Configuration
				c.Members = c.Members[:min(16, len(c.Members))]
			}
		})
	}},
	{"loads members without their tags", "LargeConfiguration", `priority 4294967295, tags map\[\], want`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) {
			for i := range s.Configurations {
				c := s.Configurations[i].Configuration.Clone()
				for j := range c.Members {
					c.Members[j].Tags = nil
				}
				s.Configurations[i].Configuration = c
			}
		})
	}},
	{"keeps indexes as floating-point numbers", "LargeNumbers", `group 53: .* log \(.*\], want \(`, func(a *altered) {
		a.loads(func(_ membership.GroupID, s *storage.State) { s.Last.Index = core.Index(float64(s.Last.Index)) })
	}},
	{"loads into the memory of the last Load", "LoadsStayAsTheyAre", `what a Load returned before .* is not the same any more`, func(a *altered) {
		buffer := make([]core.LogID, 0, 1000)
		a.loads(func(_ membership.GroupID, s *storage.State) {
			buffer = append(buffer[:0], s.Terms...)
			s.Terms = buffer
		})
	}},
	{"loads the time of an entry that was truncated", "TimeOfLastEntry", `time of the last entry 4611686018427387904, want 7`, func(a *altered) {
		longest := make(map[membership.GroupID]int64)
		a.loads(func(g membership.GroupID, s *storage.State) {
			if before, found := longest[g]; found {
				s.LastTime = max(s.LastTime, before)
			}
			longest[g] = s.LastTime
		})
	}},
	{"keeps the caller's hard state", "BatchBelongsToTheCaller", `hard state {Term:77`, func(a *altered) {
		var kept *core.HardState
		a.operations(func(op *storage.Operation) {
			if op.HardState != nil {
				kept = op.HardState
			}
		})
		a.loads(func(_ membership.GroupID, s *storage.State) {
			if kept != nil {
				s.HardState = *kept
			}
		})
	}},
}

var writeFaults = []fault[func(*altered)]{
	{"fails for indexes above 2^32", "LargeNumbers", `Write of terms and indexes around 2\^32: out of range`, func(a *altered) {
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			for _, op := range b.Operations {
				index := max(op.Reset.Index, op.Purge.Index)
				for _, e := range op.Append {
					index = max(index, e.Index)
				}
				if index > 1<<32 {
					return errors.New("out of range")
				}
			}
			return inner(ctx, b)
		}
	}},
	{"fails for a batch at its limits", "BatchAtTheLimits", `Write: .* at most`, func(a *altered) {
		a.limits = func() storage.Limits {
			l := a.Store.Limits()
			l.BatchEntriesMax++
			return l
		}
	}},
	{"takes more entries than its limits allow", "BeyondTheLimits", `the batch was accepted`, func(a *altered) {
		a.limits = func() storage.Limits {
			l := a.Store.Limits()
			l.BatchEntriesMax--
			return l
		}
	}},
	{"keeps times in milliseconds", "EveryFieldOfAnEntry", `time of the last entry 0, want 5`, func(a *altered) {
		a.operations(func(op *storage.Operation) {
			op.Append = slices.Clone(op.Append)
			for i := range op.Append {
				op.Append[i].Time -= op.Append[i].Time % 1e6
			}
		})
	}},
	{"keeps 65,535 bytes of an entry", "EveryFieldOfAnEntry", `65535 bytes, want .* 65536 bytes`, func(a *altered) {
		a.operations(func(op *storage.Operation) {
			op.Append = slices.Clone(op.Append)
			for i := range op.Append {
				op.Append[i].Data = op.Append[i].Data[:min(len(op.Append[i].Data), 1<<16-1)]
			}
		})
	}},
	{"takes one group for another whose lower 32 bits are the same", "GroupsIndependent", `Write: .* group 1: .* a hole`, func(a *altered) {
		a.operations(func(op *storage.Operation) {
			if lower := op.Group & (1<<32 - 1); lower != 0 {
				op.Group = lower
			}
		})
	}},
	{"forgets what follows 256 operations of a batch", "ManyGroupsInABatch", `group 257: `, func(a *altered) {
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			return inner(ctx, &storage.Batch{Operations: b.Operations[:min(len(b.Operations), 256)]})
		}
	}},
	{"loses a hard state that comes with entries", "AllPartsOfAnOperation", `hard state {Term:0 .* want {Term:4`, func(a *altered) {
		a.operations(func(op *storage.Operation) {
			if len(op.Append) > 0 {
				op.HardState = nil
			}
		})
	}},
	{"truncates one entry more beyond 1,000", "TruncateManyEntries", `log \(0.0, 1.4799\], want \(0.0, 1.4800\]`, func(a *altered) {
		a.operations(func(op *storage.Operation) {
			s, err := a.Store.Load(context.Background(), op.Group)
			if err == nil && op.TruncateFrom > s.Purged.Index+1 && s.Last.Index > op.TruncateFrom+1000 && len(op.Append) == 0 {
				op.TruncateFrom--
			}
		})
	}},
	{"purges one entry more beyond 1,000", "PurgeManyEntries", `log \(1.1301, 1.6000\], want \(1.1300, 1.6000\]`, func(a *altered) {
		a.operations(func(op *storage.Operation) {
			s, err := a.Store.Load(context.Background(), op.Group)
			if err == nil && op.Purge.Index > s.Purged.Index+1000 && op.Purge.Index < s.Last.Index {
				op.Purge.Index++
			}
		})
	}},
	{"purges one entry too few", "StateAfterPurge", `log \(1.4, 2.10\], want \(1.5, 2.10\]`, func(a *altered) {
		a.operations(func(op *storage.Operation) { op.Purge.Index = max(op.Purge.Index, 1) - 1 })
	}},
}
