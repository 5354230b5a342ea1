package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

func newBackup() *cobra.Command {
	var (
		out   string
		local bool
	)
	command := request("backup", "Write all pairs to one file", cobra.NoArgs, func(c *cobra.Command, from *client.Client, _ []string) error {
		ctx, stop := interruptible(c.Context())
		defer stop()
		made, err := backup(ctx, from, out, local, c.ErrOrStderr())
		return show(c, made, err)
	})
	command.Long = `Write all pairs to one file, of which restore makes a new cluster. Any node may be
asked. The file holds every write that was acknowledged before, and --timeout is for
how long that may take to find out; then it lasts for as long as bytes come. The file
is there when it is whole and was verified, and not before.`
	command.Flags().StringVar(&out, "out", "", "the file, which must not be there")
	command.Flags().BoolVar(&local, "local", false, "what the asked node has, without a leader: the newest writes may lack")
	mustRequire(command, "out")
	return command
}

// backedUp is what backup writes.
type backedUp struct {
	File    string `json:"file"`
	Cluster string `json:"cluster"`
	Term    uint64 `json:"term"`
	Index   uint64 `json:"index"`
	Bytes   uint64 `json:"bytes"`
}

func backup(ctx context.Context, from *client.Client, out string, local bool, progress io.Writer) (made backedUp, err error) {
	if _, err := os.Lstat(out); err == nil {
		return made, fmt.Errorf("--out: %s is there already", out)
	}
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*.tmp")
	if err != nil {
		return made, fmt.Errorf("--out: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreGone(f.Close()), ignoreGone(os.Remove(f.Name())))
		}
	}()
	shown := newProgress(progress)
	if err := from.Backup(ctx, io.MultiWriter(f, shown), local); err != nil {
		return made, err
	}
	shown.end()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return made, err
	}
	meta, err := troupe.VerifyBackup(endingReader{ctx, f})
	if err != nil {
		return made, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return made, fmt.Errorf("--out: %w", err)
	}
	// A link fails where a name has been taken meanwhile, and a rename does not.
	if err := os.Link(f.Name(), out); err != nil {
		return made, fmt.Errorf("--out: %w", err)
	}
	if err := errors.Join(os.Remove(f.Name()), syncDir(filepath.Dir(out))); err != nil {
		return made, fmt.Errorf("--out: %w", err)
	}
	return backedUp{out, meta.Cluster, uint64(meta.Term), uint64(meta.Index), meta.SizeBytes}, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// syncDir makes the names of a directory durable, where the system can.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// progressEvery is how often a terminal is shown how far something has come.
const progressEvery = 200 * time.Millisecond

// progress shows a terminal how many bytes have gone through, and nobody else.
type progress struct {
	to    io.Writer // nil: nobody
	bytes int64
	begun time.Time
	shown time.Time
}

func newProgress(to io.Writer) *progress {
	p := &progress{begun: time.Now()}
	if f, ok := to.(*os.File); ok && isTerminal(f) {
		p.to = to
	}
	return p
}

// Write implements io.Writer. It never fails.
func (p *progress) Write(b []byte) (int, error) {
	p.bytes += int64(len(b))
	if p.to != nil && time.Since(p.shown) >= progressEvery {
		p.show('\r')
	}
	return len(b), nil
}

func (p *progress) show(end rune) {
	p.shown = time.Now()
	const mib = 1 << 20
	seconds := max(time.Since(p.begun).Seconds(), 1e-3)
	// The bar turns: how long the file will be nobody knows before its end.
	const steps = 20
	at := int(p.bytes/mib) % steps
	bar := make([]byte, steps)
	for i := range bar {
		bar[i] = '.'
	}
	bar[at] = '#'
	_, _ = fmt.Fprintf(p.to, "[%s] %.1f MiB, %.1f MiB/s   %c", bar, float64(p.bytes)/mib, float64(p.bytes)/mib/seconds, end)
}

func (p *progress) end() {
	if p.to != nil {
		p.show('\n')
	}
}
