package snapshots

import (
	"context"
	"io"
)

// A snapshot that is being built, sent or restored is only work: nobody's answer hangs
// on it. So it ends with its context, at its next write or read.

// endingWriter fails when its context has ended.
type endingWriter struct {
	ctx context.Context
	to  io.Writer
}

// Write implements io.Writer.
func (w endingWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

// EndingReader returns a reader of r that fails when ctx has ended.
func EndingReader(ctx context.Context, r io.Reader) io.Reader { return endingReader{ctx, r} }

type endingReader struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
