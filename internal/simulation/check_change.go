package simulation

import "github.com/trouperaft/troupe/core"

// ruleChangeEarly is what is checked about changes of the configuration.
const ruleChangeEarly = "membership: a change before its leader has committed in its own term (rule 21)"

// changes checks a configuration that is seen first. The one that begins the cluster
// has nobody before it.
func (c *checker) changes(e *core.Entry) {
	if e.Kind != core.EntryConfiguration || e.Index == 1 {
		return
	}
	id, _ := c.certainID(c.committed)
	for id.Term > e.Term {
		id = c.entries[id].before
	}
	if id.Term == e.Term {
		return
	}
	c.fail(ruleChangeEarly, "%v, committed is %d in term %d", e.LogID, c.committed, c.committedIn)
}
