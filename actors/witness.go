package actors

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
)

// Witness sees what the engine and the streams of a group do, step by step. It is
// for tests and simulators; production has none, and pays a comparison for each
// step. The group's actors call it from their turns: it must not block, calls of
// Streamed run beside each other and beside those of Stepped, and whatever it is
// given is valid during the call only.
type Witness interface {
	// Stepped: the engine has carried out event, nil at its start, and what it
	// commanded was handed on. An error is a broken invariant, which stops the
	// group.
	Stepped(engine *core.Engine, event core.Event, commands []core.Command) error
	// Streamed: a stream has carried out event, and wants out done.
	Streamed(s *stream.Stream, event stream.Event, out *stream.Output)
}

// Invariants is the witness that checks the engine's invariants.
type Invariants struct{}

var _ Witness = Invariants{}

// Stepped returns what is broken.
func (Invariants) Stepped(engine *core.Engine, _ core.Event, _ []core.Command) error {
	return engine.CheckInvariants()
}

// Streamed does nothing: a stream has no invariant that its engine does not keep.
func (Invariants) Streamed(*stream.Stream, stream.Event, *stream.Output) {}
