package admission

// Request asks for room, for T. It is a part of T, so that waiting costs no memory.
// Whoever has T has the request, and may use it again when its room is returned. The
// zero value is ready. It must not be copied.
type Request[T any] struct {
	of T
	// bytes is the room that it holds or waits for, 0 if none.
	bytes int
	// Links of the line in which it waits.
	next, prev *Request[T]
	in         *line[T]
}

// Bytes returns the room that the request has got, 0 if none. It goes on saying so
// when that is returned.
func (r *Request[T]) Bytes() int { return r.bytes }

// line is a list through the requests themselves, so that one can be taken out
// wherever it stands.
type line[T any] struct {
	first, last *Request[T]
	length      int
}

func (l *line[T]) empty() bool { return l.first == nil }

func (l *line[T]) pushBack(r *Request[T]) {
	r.in, r.prev, r.next = l, l.last, nil
	if l.last == nil {
		l.first = r
	} else {
		l.last.next = r
	}
	l.last = r
	l.length++
}

func (l *line[T]) remove(r *Request[T]) {
	if r.prev == nil {
		l.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		l.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.in, r.prev, r.next = nil, nil, nil
	l.length--
}
