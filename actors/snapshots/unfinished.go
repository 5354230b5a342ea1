package snapshots

import (
	"context"
	"io"

	"github.com/trouperaft/troupe/storage"
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

// EndingReader returns a reader of r that fails when ctx has ended. It links files if r does.
func EndingReader(ctx context.Context, r io.Reader) io.Reader {
	if files, ofFiles := r.(storage.FileReader); ofFiles {
		return endingFiles{endingReader{ctx, r}, files}
	}
	return endingReader{ctx, r}
}

// endingFiles is an endingReader of a snapshot that is made of files.
type endingFiles struct {
	endingReader
	files storage.FileReader
}

// Link is that of storage.FileReader.
func (r endingFiles) Link(file, path string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return r.files.Link(file, path)
}

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
