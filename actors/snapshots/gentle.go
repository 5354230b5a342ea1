package snapshots

import (
	"context"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/storage"
)

// gentleWriter writes a snapshot at a pace: while the node writes commands, in small pieces,
// each of which is durable before the next one is written, so that nobody waits long for
// the disk because of it. It fails when its context has ended.
type gentleWriter struct {
	ctx  context.Context
	env  stage.Environment
	pace *pace
	to   storage.SnapshotWriter

	written uint64
	// paid is how much may be written before the pace is asked again.
	paid int
}

// newGentleWriter returns a writer whose first piece is free: of many small snapshots none
// has to wait.
func newGentleWriter(ctx context.Context, env stage.Environment, p *pace, to storage.SnapshotWriter) *gentleWriter {
	p.begin(env.Now())
	return &gentleWriter{ctx: ctx, env: env, pace: p, to: to, paid: buildPieceBytes}
}

// Write implements io.Writer.
func (w *gentleWriter) Write(p []byte) (written int, err error) {
	for {
		if err = w.ctx.Err(); err != nil || written == len(p) {
			return written, err
		}
		if w.paid == 0 {
			if err = w.pay(); err != nil {
				return written, err
			}
		}
		var n int
		n, err = w.to.Write(p[written:min(len(p), written+w.paid)])
		written, w.paid, w.written = written+n, w.paid-n, w.written+uint64(n)
		if err != nil {
			return written, err
		}
	}
}

// pay takes a piece of the pace. If it has to wait for it, it makes durable what was
// written before.
func (w *gentleWriter) pay() error {
	w.paid = buildPieceBytes
	now := w.env.Now()
	wait := w.pace.take(now, buildPieceBytes, w.written)
	if wait == 0 {
		return nil
	}
	if pieces, syncs := w.to.(storage.PiecewiseWriter); syncs {
		if err := pieces.Sync(); err != nil {
			return err
		}
	}
	if wait -= w.env.Now().Sub(now); wait > 0 {
		w.env.Sleep(wait, w.ctx.Done())
	}
	return nil
}
