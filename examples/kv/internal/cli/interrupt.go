package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// interruptible ends the context at the first SIGINT or SIGTERM, so that a command removes
// what it has made for itself. The second ends the process at once.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// endingReader reads until its context ends.
type endingReader struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.from.Read(p)
}
