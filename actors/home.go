package actors

import (
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// home is what every actor of a group is given: what it runs in, whom it tells what
// it does, who takes its failure and who is told of its end.
type home struct {
	env    stage.Environment
	watch  *observe.Watch
	failed func(cause error)
	ended  func()
}

func (h home) shell(name string, next func() bool, closing func()) stage.Shell {
	return stage.Shell{Env: h.env, Name: name, Next: next, Closing: closing, Failed: h.failed, Ended: h.ended}
}

// instant reads the clock for the engine, whose instants the environment's are.
func instant(env stage.Environment) core.Instant { return core.Instant(env.Now()) }
