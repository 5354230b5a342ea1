package snapshots

import (
	"sort"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// A snapshot that is made of files begins with the list of these. The sender sends the list
// and waits. The receiver answers with the parts of the content that it has, and neither
// sends nor expects them: both step over them. A receiver that keeps no files answers with
// none.

// had are parts of a content that are not sent, in order and apart.
type had []core.ByteRange

// over steps over a part that begins at an offset, or reaches over it.
func (h had) over(offset uint64) uint64 {
	if i := h.behind(offset); i < len(h) && h[i].From <= offset {
		return h[i].To
	}
	return offset
}

// next is where the next part begins behind an offset, or the end.
func (h had) next(offset, end uint64) uint64 {
	if i := h.behind(offset); i < len(h) {
		return max(h[i].From, offset)
	}
	return end
}

func (h had) behind(offset uint64) int {
	return sort.Search(len(h), func(i int) bool { return h[i].To > offset })
}

func (h had) bytes() (n uint64) {
	for _, part := range h {
		n += part.To - part.From
	}
	return n
}

// before is how much of them is before an offset.
func (h had) before(offset uint64) (n uint64) {
	for _, part := range h {
		if part.From >= offset {
			break
		}
		n += min(part.To, offset) - part.From
	}
	return n
}

// wellFormed: they lie between the list and the end, in order and apart.
func (h had) wellFormed(head, end uint64) bool {
	if len(h) > core.HadMax {
		return false
	}
	for _, part := range h {
		if part.From < head || part.To <= part.From || part.To > end {
			return false
		}
		head = part.To
	}
	return true
}

// learn takes what the receiver has, when it has the list. It reports whether that makes
// sense.
func (s *sender) learn(r *core.SnapshotResponse) bool {
	if s.listed || r.Offset < s.head {
		return true
	}
	if h := had(r.Had); !h.wellFormed(s.head, s.meta.SizeBytes) || h.over(r.Offset) != r.Offset {
		return false
	}
	s.listed, s.had = true, r.Had
	return true
}

// tellSpared tells once what the receiver had when the transfer began: what has arrived
// before a break is not counted again.
func (s *sender) tellSpared() {
	if s.listed && !s.spared {
		s.spared = true
		observe.Spared{Span: s.span, Bytes: s.had.bytes()}.Tell(s.group.Watch)
	}
}

// endsList: the piece that is to be answered next ends the list.
func (s *sender) endsList() bool { return !s.listed && s.inflight[0].end == s.head }

// learnAtList takes the answer to that piece, and reports whether it makes sense.
func (s *sender) learnAtList(r *core.SnapshotResponse) bool {
	return s.learn(r) && s.listed && r.Offset == s.had.over(s.head)
}

// expected is where the next piece begins.
func (s *sender) expected() uint64 {
	if last := len(s.inflight) - 1; last >= 0 {
		return s.inflight[last].end
	}
	return s.acked
}

// window is how many bytes may be under way. The list takes up to three times its length in
// memory on either side, so that fewer may be that of a long one: of the longest 2 MiB.
func (s *sender) window() uint64 { return windowBytes - min(2*s.head, windowBytes-windowBytesMin) }

// windowBytesMin is the window beside the longest list.
const windowBytesMin = 2 << 20

// waits: the list is sent, and the answer to it is not there.
func (s *sender) waits() bool { return !s.listed && s.offset >= s.head }

// upTo is where a piece ends at the latest that begins where the reader stands.
func (s *sender) upTo() uint64 {
	if s.offset < s.head {
		return s.head
	}
	return s.had.next(s.offset, s.meta.SizeBytes)
}

// wentOn: so many bytes were written.
func (r *receiver) wentOn(bytes int) {
	w, ofFiles := r.writer.(storage.FileWriter)
	if !ofFiles {
		r.offset += uint64(bytes)
		return
	}
	r.offset, r.had = w.At(), w.Had()
}

// hadFor is what is answered to a piece: whoever asks is told, and who sends the list.
func (r *receiver) hadFor(m *core.SnapshotChunk) []core.ByteRange {
	if !sameSnapshot(&r.meta, &m.Meta) || len(m.Data) > 0 && m.Offset >= m.HeadBytes {
		return nil
	}
	return r.had
}
