package actors

import (
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// home is what every actor of a group is given: where it lives, and whom it tells
// what it does.
type home struct {
	stage.Home
	watch *observe.Watch
}

// instant reads the clock for the engine, whose instants the environment's are.
func instant(env stage.Environment) core.Instant { return core.Instant(env.Now()) }
