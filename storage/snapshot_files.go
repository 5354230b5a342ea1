package storage

import (
	"context"
	"crypto/sha256"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// A snapshot may be made of files. Its content is one stream all the same: a list of the
// files, and then what is in them (package storage/fileset). So a store, a peer or a backup
// that knows nothing of files keeps and moves it as any other.

// File is one of the files of a snapshot that is made of files.
type File struct {
	// Name is relative, in parts that slashes separate: see fileset.CheckNames.
	Name      string
	SizeBytes uint64
	// SHA256 is of the content. Zero in a view says that it is not known: then it is found
	// out. A machine that knows it should say it: else a file that has rotten on its disk
	// gets into a snapshot as it is.
	SHA256 [sha256.Size]byte
	// Sealed: nothing ever writes to the file again, on any node, so that it may be
	// hard-linked. It may be renamed and removed.
	Sealed bool
	// Path is where the file is on this machine, and no part of the snapshot.
	Path string
}

// FileView is a SnapshotView that is made of files. fileset.NewView makes one.
type FileView interface {
	SnapshotView
	// Files returns the files. They stay where their paths say, and as they are, until
	// Close. WriteTo writes the same as one stream. One of the two is used, from another
	// goroutine than the machine's.
	Files() []File
}

// FileMachine is a StateMachine of which a follower's own files are used when it receives a
// snapshot that is made of files: what they hold already is not sent.
type FileMachine interface {
	StateMachine
	// SealedFiles returns the sealed files that the machine has now. It is called beside the
	// other methods, at any time, and should be quick. Names and sizes are enough: what a
	// file holds is found out by reading it. A file may be gone again at once.
	SealedFiles() []File
}

// FileStore is a SnapshotStore, one that resumes, that keeps the files of a snapshot by themselves, hard-linked
// where it can, each once whatever the number of snapshots that have it. A store need not:
// then they are kept as one stream.
//
// What Open returns for such a snapshot is a FileReader.
type FileStore interface {
	Resuming
	// CreateFiles makes a snapshot of files, durable and visible, and returns its meta with
	// size and checksum. Sealed files are linked, where the file system can; others are
	// copied. It reads all of them. A file that is not a regular one, or has another size or
	// checksum than it should, is an error, and there is no snapshot. It is called as Create
	// is.
	CreateFiles(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, files []File) (core.SnapshotMeta, error)

	// ResumeFiles begins a snapshot that arrives in pieces, or goes on with one, as
	// Resuming.Resume does. Its content begins with a list of headBytes bytes. When that is
	// there, the store looks for what it has of the files: in other snapshots, in what has
	// arrived before, and among own, which are files of the state machine. It reads them, and
	// only what has the checksum that the list says is not wanted again. have is where in the
	// content to begin.
	//
	// Names that no node may make are refused before anything is written: the error wraps a
	// *fileset.NameError, of ResumeFiles or of the Write that makes the list whole. So is one
	// that does not fit meta, which wraps core.ErrCorrupt.
	ResumeFiles(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, headBytes uint64, own func() []File) (w FileWriter, have uint64, err error)
}

// FileWriter is what ResumeFiles returns. Each Write goes on where At says, and may not reach
// into what Had says; and what was written may all be there when At is the end.
type FileWriter interface {
	SuspendableWriter
	// At is where in the content the next Write goes: behind what was written, and behind
	// what is there already.
	At() uint64
	// Had returns the parts of the content behind the list that are not wanted, in order and
	// apart from each other, at most core.HadMax: nil before the list is whole.
	Had() []core.ByteRange
}

// FileReader is a SnapshotReader of a snapshot whose files are kept by themselves.
type FileReader interface {
	SnapshotReader
	// HeadBytes is the length of the list with which the content begins.
	HeadBytes() uint64
	// Link gives a sealed file of the snapshot another name: that of a file which is not
	// there yet. An error says that it has to be read.
	Link(file, path string) error
}
