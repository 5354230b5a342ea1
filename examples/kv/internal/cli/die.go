//go:build hang && unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// dyingLog kills its process in a phase of a change of the members, while the file exists
// that KV_DIE_FILE names. It holds when, and how much later, as in "joint appended 2ms".
type dyingLog struct {
	troupe.LogStore
	file string
}

func dying(log troupe.LogStore) troupe.LogStore {
	if file := os.Getenv("KV_DIE_FILE"); file != "" {
		return dyingLog{log, file}
	}
	return log
}

// Write dies before or after a batch that begins the phase that was asked for.
func (l dyingLog) Write(ctx context.Context, b *storage.Batch) error {
	content, err := os.ReadFile(l.file)
	if err != nil {
		return l.LogStore.Write(ctx, b)
	}
	text := string(content)
	cut := strings.LastIndexByte(text, ' ')
	later, err := time.ParseDuration(text[cut+1:])
	if cut < 0 || err != nil {
		return errors.Join(fmt.Errorf("%s holds %q", l.file, text), err)
	}
	before, after := phasesOf(b)
	if before[text[:cut]] {
		die(text[:cut], later)
	}
	err = l.LogStore.Write(ctx, b)
	if err == nil && after[text[:cut]] {
		die(text[:cut], later)
	}
	return err
}

// phasesOf are the phases that end with a batch, and those that begin with it. A batch has
// more than one step only if its disk was slow.
func phasesOf(b *storage.Batch) (before, after map[string]bool) {
	before, after = make(map[string]bool), make(map[string]bool)
	for i := range b.Operations {
		for j := range b.Operations[i].Append {
			e := &b.Operations[i].Append[j]
			if e.Kind != core.EntryConfiguration {
				continue
			}
			c, err := membership.Decode(e.Data)
			switch {
			case err != nil:
			case c.Joint():
				after["joint appended"] = true
			case c.Target != nil:
				before["before"], after["catching up"] = true, true
			default:
				before["joint committed"], after["new appended"] = true, true
			}
		}
	}
	return before, after
}

// die ends the process as kill -9 does: here, or a little later, wherever it is then.
func die(phase string, later time.Duration) {
	fmt.Fprintf(os.Stderr, "dies on request, %v after %q\n", later, phase)
	kill := func() {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {}
	}
	if later == 0 {
		kill()
	}
	time.AfterFunc(later, kill)
}
