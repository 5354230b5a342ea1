package core

// SnapshotChunk carries a piece of a snapshot.
type SnapshotChunk struct {
	Header
	Stream uint64
	// Transfer tells the sender's transfers apart.
	Transfer uint64
	Meta     SnapshotMeta
	Offset   uint64
	Data     []byte
	// Done marks the last piece.
	Done bool
	// HeadBytes is how long the list is with which the content begins, of a snapshot that is
	// made of files; 0 if it is one stream.
	HeadBytes uint64
	// Trace is the transfer's, zero if it is not traced.
	Trace TraceContext
}

// ByteRange is a part of a snapshot's content: from From on, up to To and without it.
type ByteRange struct{ From, To uint64 }

// HadMax is how many parts a SnapshotResponse may name.
const HadMax = 4096

// SnapshotResponse answers a SnapshotChunk. The snapshot sender of the transfer
// consumes it.
type SnapshotResponse struct {
	Header
	Stream   uint64
	Transfer uint64
	// Offset is how much of the snapshot the receiver has: where to go on.
	Offset uint64
	// Refused ends the transfer: the receiver does not want it. Reason says why.
	Refused bool
	Reason  string
	// Had are parts of the content that the receiver has, behind the list of files, and
	// which are not to be sent. At most HadMax; nil before it has the list.
	Had []ByteRange
}
