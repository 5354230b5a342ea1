package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// changeProgress shows what a change of the members waits for, while a command does.
type changeProgress struct {
	to       *client.Client
	out      io.Writer
	terminal bool
	// first is after what time it shows anything, and every how often it asks.
	first, every time.Duration

	last  string // of the lines
	drawn bool   // there is a bar
}

const (
	changeFirst = time.Second
	changeEvery = 500 * time.Millisecond
	barWidth    = 24
)

// showProgress shows it until the returned function was called.
func showProgress(c *cobra.Command, to *client.Client) (stop func()) {
	p := &changeProgress{to: to, out: c.ErrOrStderr(), first: changeFirst, every: changeEvery}
	if f, ok := p.out.(*os.File); ok {
		p.terminal = isTerminal(f)
	}
	return p.start(c.Context())
}

func (p *changeProgress) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func (p *changeProgress) run(ctx context.Context) {
	next := time.NewTimer(p.first)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			p.clear()
			return
		}
		// The change itself tells what is wrong.
		if m, err := p.to.Members(ctx); err == nil && m.Change.State != api.ChangeNone {
			p.show(&m.Change)
		}
		next.Reset(p.every)
	}
}

func (p *changeProgress) show(c *api.ChangeState) {
	line := stepText(c)
	if !p.terminal {
		if line != p.last {
			_, _ = fmt.Fprintln(p.out, line)
		}
		p.last = line
		return
	}
	if slowest := slowestOf(c.Progress); slowest != nil {
		line = barText(slowest)
	}
	_, _ = fmt.Fprint(p.out, "\r\x1b[K"+line)
	p.drawn = true
}

// clear takes the bar away, for what the command says at the end.
func (p *changeProgress) clear() {
	if p.drawn {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// stepText is how far a change has come, and for whom it waits.
func stepText(c *api.ChangeState) string {
	text := map[string]string{api.ChangeCatchingUp: "catching up", api.ChangeJoint: "joint"}[c.State]
	if text == "" {
		text = c.State
	}
	for i, id := range c.WaitsFor {
		if i == 0 {
			text += ", waits for node "
		} else {
			text += ", "
		}
		text += fmt.Sprint(id)
	}
	return text
}

// share is how much a node has, 0 to 1, of what it is sent now.
func share(p *api.Progress) float64 {
	if p.SnapshotTotalBytes > 0 {
		return float64(p.SnapshotBytes) / float64(p.SnapshotTotalBytes)
	}
	return p.Percent / 100
}

// slowestOf is who has the longest way to go, nil if nobody catches up.
func slowestOf(all []api.Progress) (slowest *api.Progress) {
	for i := range all {
		if slowest == nil || share(&all[i]) < share(slowest) {
			slowest = &all[i]
		}
	}
	return slowest
}

// barText draws how far a node has come.
func barText(p *api.Progress) string {
	part := min(max(share(p), 0), 1)
	full := int(part * barWidth)
	text := fmt.Sprintf("node %d [%s%s] %3.0f%%", p.ID, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*part)
	if p.SnapshotTotalBytes > 0 {
		text += fmt.Sprintf(" of a snapshot of %d MiB", (p.SnapshotTotalBytes+1<<20-1)>>20)
	} else {
		text += fmt.Sprintf(", %d entries behind, %.0f a second", p.LagEntries, p.EntriesPerSecond)
	}
	if p.RestMillis != nil {
		text += fmt.Sprintf(", %v left", (time.Duration(*p.RestMillis) * time.Millisecond).Round(time.Second))
	}
	return text
}
