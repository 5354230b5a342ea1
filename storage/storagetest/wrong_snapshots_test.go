package storagetest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/storagetest"
)

const snapshotFault = "TROUPE_WRONG_SNAPSHOT"

// TestWrongSnapshots is the suite for the one fault that the environment names.
func TestWrongSnapshots(t *testing.T) {
	alter := named(t, snapshotFault, snapshotFaults)
	storagetest.SnapshotStore(t, func(dir string) (storage.SnapshotStore, error) {
		s, err := files.Open(dir, nil)
		if err != nil {
			return nil, err
		}
		a := &alteredSnapshots{Store: s, create: s.Create, newest: s.Newest, open: s.Open, removeBelow: s.RemoveBelow}
		if alter != nil {
			alter(a)
		}
		return a, nil
	}, true)
}

func TestSuiteCatchesWrongSnapshots(t *testing.T) {
	catches(t, "TestWrongSnapshots", snapshotFault, snapshotFaults)
}

// alteredSnapshots is storage/files with some of its calls replaced.
type alteredSnapshots struct {
	*files.Store
	create      func(context.Context, membership.GroupID, core.SnapshotMeta) (storage.SnapshotWriter, error)
	newest      func(context.Context, membership.GroupID) (core.SnapshotMeta, error)
	open        func(context.Context, membership.GroupID, core.LogID) (storage.SnapshotReader, error)
	removeBelow func(context.Context, membership.GroupID, core.Index) error
}

func (a *alteredSnapshots) Create(ctx context.Context, g membership.GroupID, m core.SnapshotMeta) (storage.SnapshotWriter, error) {
	return a.create(ctx, g, m)
}
func (a *alteredSnapshots) Newest(ctx context.Context, g membership.GroupID) (core.SnapshotMeta, error) {
	return a.newest(ctx, g)
}
func (a *alteredSnapshots) Open(ctx context.Context, g membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	return a.open(ctx, g, id)
}
func (a *alteredSnapshots) RemoveBelow(ctx context.Context, g membership.GroupID, i core.Index) error {
	return a.removeBelow(ctx, g, i)
}

// metas changes what is said of a snapshot that is made.
func (a *alteredSnapshots) metas(change func(*core.SnapshotMeta)) {
	a.create = func(ctx context.Context, g membership.GroupID, m core.SnapshotMeta) (storage.SnapshotWriter, error) {
		m.Configuration.Configuration = m.Configuration.Configuration.Clone()
		change(&m)
		return a.Store.Create(ctx, g, m)
	}
}

// readers replaces how a snapshot is read.
func (a *alteredSnapshots) readers(replace func(storage.SnapshotReader) io.Reader) {
	a.open = func(ctx context.Context, g membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
		r, err := a.Store.Open(ctx, g, id)
		if err != nil {
			return nil, err
		}
		return alteredReader{r, replace(r)}, nil
	}
}

type alteredReader struct {
	storage.SnapshotReader
	reader io.Reader
}

func (r alteredReader) Read(p []byte) (int, error) { return r.reader.Read(p) }

// writers replaces the calls that write a snapshot.
func (a *alteredSnapshots) writers(replace func(*alteredWriter)) {
	a.create = func(ctx context.Context, g membership.GroupID, m core.SnapshotMeta) (storage.SnapshotWriter, error) {
		w, err := a.Store.Create(ctx, g, m)
		if err != nil {
			return nil, err
		}
		altered := &alteredWriter{inner: w, write: w.Write, commit: w.Commit, abort: w.Abort}
		replace(altered)
		return altered, nil
	}
}

type alteredWriter struct {
	inner  storage.SnapshotWriter
	write  func([]byte) (int, error)
	commit func(core.SnapshotMeta) (core.SnapshotMeta, error)
	abort  func() error
}

func (w *alteredWriter) Write(p []byte) (int, error) { return w.write(p) }
func (w *alteredWriter) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	return w.commit(want)
}
func (w *alteredWriter) Abort() error { return w.abort() }

// readerFunc is an io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var snapshotFaults = []fault[func(*alteredSnapshots)]{
	{"ends the reading after 4 MiB without an error", "LargeContent", `ended after 4194304 bytes without an error, want 9437185`, func(a *alteredSnapshots) {
		a.readers(func(r storage.SnapshotReader) io.Reader { return io.LimitReader(r, 4<<20) })
	}},
	{"forgets the members after the sixteenth", "SnapshotOfALargeConfiguration", `Commit: .* 16 members and 17 wanted, want 17 and 17`, func(a *alteredSnapshots) {
		a.metas(func(m *core.SnapshotMeta) {
			c := &m.Configuration.Configuration
			c.Members = c.Members[:min(16, len(c.Members))]
		})
	}},
	{"forgets who is leaving a joint configuration", "SnapshotOfALargeConfiguration", `Commit: .* outgoing \[\], want`, func(a *alteredSnapshots) {
		a.metas(func(m *core.SnapshotMeta) { m.Configuration.Configuration.Outgoing = nil })
	}},
	{"keeps times in milliseconds", "EveryFieldOfTheMeta", `Commit: .* with time -9223372036854000000, want -9223372036854775808`, func(a *alteredSnapshots) {
		a.metas(func(m *core.SnapshotMeta) { m.Time -= m.Time % 1e6 })
	}},
	{"keeps half a cluster id", "EveryFieldOfTheMeta", `Commit: .* with cluster [0-9a-f]+, want`, func(a *alteredSnapshots) {
		a.metas(func(m *core.SnapshotMeta) { clear(m.Cluster[8:]) })
	}},
	{"forgets which entry brought the configuration", "WriteAndRead", `Commit: .* it is said to be of entry 0.0`, func(a *alteredSnapshots) {
		a.metas(func(m *core.SnapshotMeta) { m.Configuration.LogID = core.LogID{} })
	}},
	{"tells the newest without its configuration", "WriteAndRead", `Newest: .* 0 members and 0 wanted, want 3 and 0`, func(a *alteredSnapshots) {
		a.newest = func(ctx context.Context, g membership.GroupID) (core.SnapshotMeta, error) {
			m, err := a.Store.Newest(ctx, g)
			m.Configuration.Configuration = membership.Configuration{}
			return m, err
		}
	}},
	{"gives the newest of the highest term", "NewestWins", `newest 9.19, want 3.100`, func(a *alteredSnapshots) {
		var highest core.SnapshotMeta
		a.metas(func(m *core.SnapshotMeta) {
			if highest.Less(m.LogID) {
				highest = *m
			}
		})
		a.newest = func(context.Context, membership.GroupID) (core.SnapshotMeta, error) { return highest, nil }
	}},
	{"writes the first 64 KiB of a piece", "PiecesOfEverySize", `Commit: .* of 299\d{3} bytes, .* want 300000`, func(a *alteredSnapshots) {
		a.writers(func(w *alteredWriter) {
			w.write = func(p []byte) (int, error) {
				if _, err := w.inner.Write(p[:min(len(p), 1<<16)]); err != nil {
					return 0, err
				}
				return len(p), nil
			}
		})
	}},
	{"keeps the caller's pieces until the commit", "WriteAndRead", `Commit: .* of 1 bytes, checksum .*, want 1, `, func(a *alteredSnapshots) {
		a.writers(func(w *alteredWriter) {
			var pieces [][]byte
			w.write = func(p []byte) (int, error) {
				pieces = append(pieces, p)
				return len(p), nil
			}
			w.commit = func(want core.SnapshotMeta) (core.SnapshotMeta, error) {
				if _, err := w.inner.Write(bytes.Join(pieces, nil)); err != nil {
					return want, err
				}
				return w.inner.Commit(want)
			}
		})
	}},
	{"commits what is not as wanted", "CommitAsWanted", `Commit: <nil>`, func(a *alteredSnapshots) {
		a.writers(func(w *alteredWriter) {
			w.commit = func(core.SnapshotMeta) (core.SnapshotMeta, error) { return w.inner.Commit(core.SnapshotMeta{}) }
		})
	}},
	{"commits what was aborted", "Abort", `snapshot 1.9, want 0.0`, func(a *alteredSnapshots) {
		a.writers(func(w *alteredWriter) {
			w.abort = func() error {
				_, err := w.inner.Commit(core.SnapshotMeta{})
				return err
			}
		})
	}},
	{"shares its place among the readers of a snapshot", "ReadersAtOnce", `reader \d of 3`, func(a *alteredSnapshots) {
		var mu sync.Mutex
		places := make(map[core.LogID]io.Reader)
		a.readers(func(r storage.SnapshotReader) io.Reader {
			mu.Lock()
			defer mu.Unlock()
			if places[r.Meta().LogID] == nil {
				places[r.Meta().LogID] = r
			}
			return places[r.Meta().LogID]
		})
	}},
	{"gives one byte too many for the last ones", "PiecesOfEverySize", `read in pieces of|of snapshot`, func(a *alteredSnapshots) {
		a.readers(func(r storage.SnapshotReader) io.Reader {
			return readerFunc(func(p []byte) (int, error) {
				n, err := r.Read(p)
				if n > 0 && n < len(p) {
					n++
				}
				return n, err
			})
		})
	}},
	{"gives damaged content as good", "DamagedPassedOver", `read of a damaged snapshot: <nil>`, func(a *alteredSnapshots) {
		a.readers(func(r storage.SnapshotReader) io.Reader {
			return readerFunc(func(p []byte) (int, error) {
				n, err := r.Read(p)
				if errors.Is(err, core.ErrCorrupt) {
					err = io.EOF
				}
				return n, err
			})
		})
	}},
	{"removes the snapshot at the index too", "RemoveBelow", `snapshot 30: `, func(a *alteredSnapshots) {
		a.removeBelow = func(ctx context.Context, g membership.GroupID, i core.Index) error {
			return a.Store.RemoveBelow(ctx, g, i+1)
		}
	}},
	{"leaves the newest of those below the index", "RemoveBelow", `snapshot 20: <nil>`, func(a *alteredSnapshots) {
		a.removeBelow = func(ctx context.Context, g membership.GroupID, i core.Index) error {
			return a.Store.RemoveBelow(ctx, g, max(i, 10)-10)
		}
	}},
	{"keeps eight snapshots", "ManySnapshots", `not found`, func(a *alteredSnapshots) {
		a.writers(func(w *alteredWriter) {
			w.commit = func(want core.SnapshotMeta) (core.SnapshotMeta, error) {
				m, err := w.inner.Commit(want)
				if err == nil && m.Index > 8 {
					err = a.Store.RemoveBelow(context.Background(), 1, m.Index-7)
				}
				return m, err
			}
		})
	}},
}
