package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// What lies in a data directory.
const (
	raftDir      = "raft"
	snapshotsDir = "snapshots"
	machineDir   = "machine"
)

// codeDamaged is the exit code of inspect for a directory that is damaged.
const codeDamaged = 3

// inspectEntriesMax bounds the entries of one report.
const inspectEntriesMax = 100_000

// inspectPageBytes is how much of a log is read at once.
const inspectPageBytes = 1 << 20

func newInspect() *cobra.Command {
	var (
		data, entries string
		verify, json  bool
	)
	command := &cobra.Command{
		Use:   "inspect",
		Short: "Look at the data directory of a node that does not run",
		Long: `Look at the data directory of a node that does not run: who it belongs to, what the
node has promised and voted, its log, configurations and snapshots. No file in it is
changed, also after a kill. All entries of the log are read and their checksums
compared; with --verify all snapshots and the machine's database, too.

A damaged snapshot that the node has set aside is shown, and counts as damage only while
no other piece has taken its place.

The exit code is 0 if nothing is known to be wrong, 3 if something is damaged, and 1 if
there is nothing to look at: the directory is in use, empty, or none of kv's, or the
system does not let it be read.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			wanted, err := parseRange(entries)
			if err != nil {
				return fmt.Errorf("--entries: %w", err)
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			found, err := inspect(ctx, data, verify, wanted)
			if err != nil {
				return fmt.Errorf("--data: %w", err)
			}
			if json {
				err = writeLine(c.OutOrStdout(), found)
			} else {
				err = found.print(c.OutOrStdout())
			}
			return errors.Join(err, found.verdict())
		},
	}
	f := command.Flags()
	f.StringVar(&data, "data", "", "directory of the node's data")
	f.BoolVar(&verify, "verify", false, "read all snapshots and the machine's database, and compare the checksums")
	f.StringVar(&entries, "entries", "", "FROM-TO: show these entries of the log, or FROM- to its end")
	f.BoolVar(&json, "json", false, "write one line of JSON")
	mustRequire(command, "data")
	return command
}

// indexRange is of entries that are to be shown: none if from is 0.
type indexRange struct{ from, to core.Index }

func parseRange(text string) (r indexRange, err error) {
	if text == "" {
		return r, nil
	}
	before, after, ok := strings.Cut(text, "-")
	from, errFrom := strconv.ParseUint(before, 10, 62)
	to, errTo := strconv.ParseUint(after, 10, 62)
	if ok && after == "" {
		to, errTo = 1<<62, nil
	}
	if !ok || errFrom != nil || errTo != nil || from == 0 || to < from {
		return r, fmt.Errorf("%q is not FROM-TO, with indexes from 1 on", text)
	}
	return indexRange{core.Index(from), core.Index(to)}, nil
}

// inspect looks at a data directory.
func inspect(ctx context.Context, data string, verify bool, wanted indexRange) (*inspected, error) {
	if err := checkDataDir(data); err != nil {
		return nil, err
	}
	found := &inspected{Data: data}
	log, err := badger.Open(filepath.Join(data, raftDir), badger.Options{Inspect: true})
	switch {
	case errors.Is(err, core.ErrCorrupt):
		found.damaged(storage.LogDamage(err))
	case err != nil:
		return nil, err
	default:
		defer log.Close()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	snapshots, err := files.Inspect(ctx, filepath.Join(data, snapshotsDir), 1, verify)
	if err != nil {
		return nil, err
	}
	i := storage.Inspection{Snapshots: snapshots}
	if log != nil {
		if i, err = storage.Inspect(ctx, log, 1, snapshots); err != nil {
			return nil, err
		}
	}
	found.take(&i)
	if err := found.inspectMachine(ctx, data, verify, &i); err != nil {
		return nil, err
	}
	if wanted.from > 0 && log != nil {
		err = found.takeEntries(ctx, log, &i, wanted)
	}
	return found, err
}

// checkDataDir refuses what is no data directory, by its name.
func checkDataDir(data string) error {
	names, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%s is empty: there is no node's data", data)
	}
	switch info, err := os.Stat(filepath.Join(data, raftDir)); {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil || !info.IsDir():
		return fmt.Errorf("%s is no data directory of kv: there is no %s in it", data, raftDir)
	}
	return nil
}

// inspectMachine looks at the machine's database, and compares it with the log.
func (f *inspected) inspectMachine(ctx context.Context, data string, verify bool, i *storage.Inspection) error {
	found, err := machine.InspectBadger(ctx, filepath.Join(data, machineDir), verify)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.Machine = &inspectedMachine{Term: uint64(found.Applied.Term), Index: uint64(found.Applied.Index), Pairs: found.Pairs, Verified: verify && err == nil}
	const advice = "the machine's database can be moved elsewhere if a good snapshot reaches the log's first entry: the node restores it"
	if err != nil {
		d := storage.LogDamage(fmt.Errorf("the machine's database: %w", err))
		if errors.Is(err, core.ErrCorrupt) {
			d.Advice = advice
		}
		f.damaged(d)
		return nil
	}
	best := found.Applied.Index
	for _, s := range i.Snapshots {
		if s.Err == nil && !s.Record { // a record holds nothing
			best = max(best, s.Meta.Index)
		}
	}
	if best < i.Log.Purged.Index {
		f.damaged(storage.Damage{
			Err: fmt.Errorf("%w: the log begins after %v, and neither the machine nor a good snapshot reaches it", core.ErrCorrupt, i.Log.Purged),
			Advice: "put back the machine's database or the snapshot that is missing, or start the node: it votes, and asks its leader for a snapshot; " +
				"one that alone votes is restored from a backup",
		})
	}
	return nil
}

// takeEntries reads entries of the log.
func (f *inspected) takeEntries(ctx context.Context, log storage.LogStore, i *storage.Inspection, wanted indexRange) error {
	first, last := max(wanted.from, i.Log.Purged.Index+1), min(wanted.to, i.Log.Last.Index)
	f.Entries = []inspectedEntry{}
	for first <= last {
		entries, err := log.Read(ctx, i.Group, first, last, inspectPageBytes)
		if err != nil {
			f.damaged(storage.LogDamage(err))
			return nil
		}
		for n := range entries {
			f.Entries = append(f.Entries, entryOf(&entries[n]))
		}
		if len(f.Entries) > inspectEntriesMax {
			return fmt.Errorf("more than %d entries: ask for fewer", inspectEntriesMax)
		}
		first += core.Index(len(entries))
	}
	return nil
}

// verdict is what is wrong, nil if nothing is known to be. What the system does not let be
// read may be good: that is no damage.
func (f *inspected) verdict() error {
	switch {
	case f.damage != nil:
		return &exitError{codeDamaged, fmt.Errorf("%s is damaged: %s; what can be done: %s", f.Data, f.damage.Err, f.damage.Advice)}
	case len(f.Damage) > 0:
		return fmt.Errorf("not all of %s can be looked at: %s; what can be done: %s", f.Data, f.Damage[0].Error, f.Damage[0].Advice)
	}
	return nil
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	error
}

// Unwrap returns the error.
func (e *exitError) Unwrap() error { return e.error }

// print writes what was found for people.
func (f *inspected) print(w io.Writer) error {
	p := &printer{w: w}
	if id := f.Identity; id != nil {
		p.line("node        %d, incarnation %s, started %d times", id.Node, id.Incarnation, id.StartCounter)
		p.line("cluster     %s", id.Cluster)
		if id.Refused != "" {
			p.line("refused     %s", id.Refused)
		}
	}
	if h := f.HardState; h != nil {
		p.line("term        %d, voted for %s, committed %d", h.Term, orNobody(h.Vote), h.Commit)
		if h.Removed != "" {
			p.line("removed     at %s", h.Removed)
		}
		p.line("log         %d to %d", f.FirstIndex, f.LastIndex)
	}
	for _, t := range f.Terms {
		p.line("  term %d from %d on", t.Term, t.FirstIndex)
	}
	for _, c := range f.Configurations {
		p.line("members     at %d.%d: %s", c.Term, c.Index, c.Members)
	}
	for _, s := range f.Snapshots {
		if s.Record {
			p.line("record      %s: the machine was durable up to %d.%d, %s", s.File, s.Term, s.Index, s.state())
		} else {
			p.line("snapshot    %s: %d.%d, %d bytes, %s", s.File, s.Term, s.Index, s.Bytes, s.state())
		}
		if s.Members != "" {
			p.line("  members there: %s", s.Members)
		}
	}
	if m := f.Machine; m != nil {
		p.line("machine     %d pairs, applied up to %d.%d", m.Pairs, m.Term, m.Index)
	}
	for _, e := range f.Entries {
		p.line("entry       %d.%d %s %s %d bytes %s", e.Term, e.Index, e.Kind, e.Time, e.Bytes, e.Text)
	}
	for _, d := range f.Damage {
		p.line("DAMAGED     %s", d.Error)
		p.line("            %s", d.Advice)
	}
	return p.err
}

func orNobody(vote string) string {
	if vote == "" {
		return "nobody"
	}
	return vote
}

// printer writes lines up to the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
