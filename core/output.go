package core

// Output collects the commands of a Step. It is reused: the commands of the
// steady path come from slabs that the next Reset takes back, so that a Step
// boxes and allocates nothing per command.
type Output struct {
	// Commands are in the order in which they must be carried out.
	Commands []Command

	writes     slab[Write]
	sends      slab[Send]
	replicates slab[Replicate]
	alives     slab[PeerAlive]
	applies    slab[Apply]
	timers     slab[ArmTimer]
	reads      slab[ReadReady]
}

// Reset forgets all commands, which must no longer be used.
func (o *Output) Reset() {
	clear(o.Commands)
	o.Commands = o.Commands[:0]
	o.writes.reset()
	o.sends.reset()
	o.replicates.reset()
	o.alives.reset()
	o.applies.reset()
	o.timers.reset()
	o.reads.reset()
}

func (o *Output) add(c Command) { o.Commands = append(o.Commands, c) }

func (o *Output) send(m Message) {
	c := o.sends.next()
	c.Message = m
	o.add(c)
}

// slab hands out values whose addresses stay valid until reset.
type slab[T any] struct {
	chunks [][]T
	chunk  int
	used   int
}

const slabChunk = 16

func (s *slab[T]) next() *T {
	if s.chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	v := &s.chunks[s.chunk][s.used]
	if s.used++; s.used == slabChunk {
		s.chunk, s.used = s.chunk+1, 0
	}
	return v
}

func (s *slab[T]) reset() {
	for i := 0; i < s.chunk; i++ {
		clear(s.chunks[i])
	}
	if s.used > 0 {
		clear(s.chunks[s.chunk][:s.used])
	}
	s.chunk, s.used = 0, 0
}
