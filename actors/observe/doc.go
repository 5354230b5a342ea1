// Package observe turns what actors tell into spans, metrics and lines of the log.
//
// An actor holds a [Watch] and knows two verbs. Tell is for what has happened: an
// event is a plain struct of a closed set. Begin is for what lasts, or where a
// context must travel with a message: it returns a [Span] by value, which comes
// back in the event that ends it.
//
//	span := observe.Restoring{Meta: meta}.Begin(watch)
//	err := restore(meta)
//	observe.Restored{Span: span, Meta: meta, Err: err}.Tell(watch)
//
// Anybody may call both. They count, and remember what is under way, under locks of
// this package alone. They call nothing foreign (rule 28 of package core). Spans that
// have ended, lines and measurements leave through bounded queues, and an [observer]
// hands them to the tracer, the logger or the meter. What finds no room is lost and
// counted. So a logger, a tracer or a meter that
// blocks, panics or ends its goroutine costs lines, spans or measurements, and
// nothing else.
//
// What is turned off costs a comparison: it reads no clock and allocates nothing.
package observe
