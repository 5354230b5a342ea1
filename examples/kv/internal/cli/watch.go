package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// watcher shows the status of nodes again and again.
type watcher struct {
	nodes    []watchedNode
	interval time.Duration
	// patience is for how long an answer is waited for: who does not answer holds up
	// the others' rows.
	patience time.Duration
	out      io.Writer
	// drawn is how many lines the last table has.
	drawn int
}

// patienceMin is for how long an answer is waited for at least, where the interval is
// shorter.
const patienceMin = time.Second

// seen is what a node has answered.
type seen struct {
	address string
	status  api.Status
	err     error
}

// run asks all nodes and shows what they say, once in each interval, until ctx ends:
// that is no error. show gets the time of the questions.
func (w *watcher) run(ctx context.Context, show func(at time.Time, all []seen) error) error {
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for {
		at := time.Now()
		all := w.ask(ctx)
		if ctx.Err() != nil {
			return nil // what was asked for last was not waited for
		}
		if err := show(at, all); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ask asks all nodes at once.
func (w *watcher) ask(ctx context.Context) []seen {
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	all := make([]seen, len(w.nodes))
	var asked sync.WaitGroup
	for i, n := range w.nodes {
		asked.Go(func() {
			status, err := n.client.Status(limited)
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("no answer in %v", w.patience)
			}
			all[i] = seen{n.address, status, err}
		})
	}
	asked.Wait()
	return all
}

// watchLine is what a pipe gets of a node each time.
type watchLine struct {
	Time   time.Time   `json:"time"`
	HTTP   string      `json:"http"`
	Status *api.Status `json:"status,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// lines writes a line for each node.
func (w *watcher) lines(at time.Time, all []seen) error {
	for i := range all {
		line := watchLine{Time: at, HTTP: all[i].address, Status: &all[i].status}
		if err := all[i].err; err != nil {
			line.Status, line.Error = nil, reason(err)
		}
		if err := writeLine(w.out, line); err != nil {
			return err
		}
	}
	return nil
}

// What a terminal is told.
const (
	wrapOff   = "\x1b[?7l" // a line that is too long is cut off, and stays one line
	wrapOn    = "\x1b[?7h"
	eraseLine = "\x1b[K" // from here to its end
)

// redraw writes the table over the last one, in one write: what is shown is never half
// of each.
func (w *watcher) redraw(at time.Time, all []seen) error {
	lines := table(at, all)
	var b bytes.Buffer
	b.WriteString(wrapOff)
	if w.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", w.drawn)
	}
	for _, line := range lines {
		b.WriteString(line + eraseLine + "\n")
	}
	b.WriteString(wrapOn)
	w.drawn = len(lines) // as many as the last time: a row a node
	_, err := w.out.Write(b.Bytes())
	return err
}

// table is a line for each node, behind two that say what it is.
func table(at time.Time, all []seen) []string {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "HTTP\tID\tROLE\tTERM\tLEADER\tLAST\tCOMMIT\tAPPLIED\tLEASE\tPRIORITY\tCONTACT\tNOTES")
	for i := range all {
		s := &all[i].status
		if err := all[i].err; err != nil {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t%s\n", all[i].address, printable(reason(err)))
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%s\t%d\t%d\t%d\t%s\t%d\t%s\t%s\n", all[i].address, s.ID, printable(s.Role), s.Term, known(s.Leader),
			s.LastLogIndex, s.CommitIndex, s.AppliedIndex, lease(s), s.Priority, contact(s), printable(strings.Join(notes(s), "; ")))
	}
	_ = t.Flush() // a buffer takes all
	lines := []string{at.Format("15:04:05") + "  Ctrl-C ends it"}
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return lines
}

// known is a node, "-" if it is not known.
func known(id uint64) string {
	if id == 0 {
		return "-"
	}
	return fmt.Sprint(id)
}

// lease is what is left of the leader's lease.
func lease(s *api.Status) string {
	if s.Role != "leader" {
		return "-"
	}
	return fmt.Sprintf("%dms", s.LeaseMillis)
}

// contact is how long ago the leader heard of a quorum, and another of its leader.
func contact(s *api.Status) string {
	ago := s.LastContact
	if s.Role == "leader" {
		ago = s.LastQuorumContact
	}
	if ago == nil {
		return "-"
	}
	return (time.Duration(*ago*1000) * time.Millisecond).String()
}

// notes are what is not as usual.
func notes(s *api.Status) []string {
	var all []string
	note := func(there bool, format string, args ...any) {
		if there {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	note(s.Fatal != "", "failed: %s", s.Fatal)
	note(s.Removed, "was removed")
	note(s.UnknownToGroup, "has lost its data")
	note(s.Contradiction != "", "%s", s.Contradiction)
	note(s.TransferringTo != 0, "hands over to %d", s.TransferringTo)
	note(s.NeedsNewTerm, "needs a new term")
	note(s.Leaving != "", "leaves office: %s", s.Leaving)
	note(s.Unfit != "", "is not to lead: %s", s.Unfit)
	note(s.OthersPaused, "nobody would take over: the others' elections are paused")
	note(s.LeftOffice != "", "left office in term %d: %s", s.LeftTerm, s.LeftOffice)
	note(s.NoLease != "", "no lease: %s", s.NoLease)
	note(s.Forming, "is being formed")
	for _, w := range s.WaitsFor {
		note(true, "waits for %d: %s", w.ID, w.Why)
	}
	note(s.Joint, "the members change")
	for _, p := range s.Peers {
		note(p.LostData, "%d has lost its data", p.ID)
		note(p.Unfit != "", "%d: %s", p.ID, p.Unfit)
		note(p.Mode == "snapshot", "%d gets a snapshot", p.ID)
		note(p.Oversized != 0, "entry %d is too large for %d", p.Oversized, p.ID)
	}
	return all
}

// reason is an error without what the row says already.
func reason(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return cmp.Or(err.Error(), "unknown")
}

// printable keeps what others have said from moving the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
