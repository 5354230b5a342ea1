package wire

import "sync"

// bodies are the bodies of pieces of snapshots that nobody reads any more. New memory for each
// piece costs a quarter of a transfer's processor time: it is cleared, its pages are mapped,
// and it is collected.
var bodies sync.Pool // of *[]byte

// bodySlackBytes is how much longer a body is than its frame. Of a body only the data comes
// back, without what stands before it in the frame: each time it is that much shorter.
const bodySlackBytes = 4 << 10

// newBody returns an empty body for a frame of n bytes, and how much room it is to have in the
// end. That begins with a MiB: what arrives is taken as it comes, so that a length that is only
// claimed costs no more than it delivers.
func newBody(kind Kind, n int) (body []byte, room int) {
	if kind != KindSnapshotChunk {
		return make([]byte, 0, min(n, 1<<20)), n
	}
	if body, is := bodies.Get().(*[]byte); is && cap(*body) >= n {
		return (*body)[:0], cap(*body)
	}
	room = n + bodySlackBytes
	return make([]byte, 0, min(room, 1<<20)), room
}

// Recycle takes back the Data of a SnapshotChunk that a FrameReader returned, and that nobody
// reads any more. A later one is read into its memory. Safe for concurrent use.
func Recycle(data []byte) {
	if cap(data) > readBufferBytes {
		bodies.Put(&data)
	}
}
