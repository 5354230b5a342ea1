package core_test

import (
	"errors"
	"fmt"
	"strings"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// scriptChanges reads "add:4", "set_voters:1,2", "set_address:3@moved", "remove:3+keep",
// "replace:3/31".
func scriptChanges(words []string) (changes []membership.Change, err error) {
	for _, word := range words {
		word, keep := strings.CutSuffix(word, "+keep")
		word, force := strings.CutSuffix(word, "+force")
		word, address, _ := strings.Cut(word, "@")
		name, about, _ := strings.Cut(word, ":")
		op, known := membership.ParseOp(name)
		if !known {
			return nil, fmt.Errorf("no such change: %s", word)
		}
		c := membership.Change{Op: op, Address: address, KeepAsLearner: keep, Force: force}
		about, incarnation, _ := strings.Cut(about, "/")
		if op == membership.OpSetVoters {
			for _, id := range strings.Split(about, ",") {
				c.Voters = append(c.Voters, NodeID(scriptNumber(id)))
			}
		} else {
			c.ID = NodeID(scriptNumber(about))
		}
		if incarnation != "" {
			c.Incarnation = membership.Incarnation(scriptNumber(incarnation))
		}
		if address == "" && (op == membership.OpAdd || op == membership.OpAddLearner) {
			c.Address = fmt.Sprintf("n%d:1", c.ID)
		}
		if op == membership.OpSetPriority {
			c.Priority = 50
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func (w *world) scriptChange(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	n.reads++
	w.orders++
	ev := &ChangeMembers{ID: n.reads}
	ev.Order.ID, ev.Order.Since = membership.ChangeID(w.orders), int64(n.now)
	var words []string
	for _, word := range a.words[1:] {
		switch word {
		case "nowait":
			ev.NoWait = true
		case "dry":
			ev.Order.DryRun = true
		case "automatic":
			ev.Order.Automatic = true
		case "keep-added":
			ev.Order.KeepAdded = true
		default:
			words = append(words, word)
		}
	}
	for k, v := range a.keys {
		switch k {
		case "limit":
			ev.Order.CatchUpLimit = scriptDuration(v)
		case "expect":
			ev.Order.ExpectedIndex = Index(scriptNumber(v))
		case "term":
			ev.Order.ExpectedTerm = Term(scriptNumber(v))
		case "id":
			ev.Order.ID = membership.ChangeID(scriptNumber(v))
		default:
			return fmt.Errorf("no such option: %s", k)
		}
	}
	var err error
	if ev.Order.Changes, err = scriptChanges(words); err != nil {
		return err
	}
	w.printf("%d is asked to change: %v", n.id.ID, ev.Order.Changes)
	n.step(ev)
	return nil
}

func (w *world) scriptCancel(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	n.reads++
	w.orders++
	ev := &ChangeMembers{ID: n.reads, Order: ChangeOrder{Cancel: true}}
	ev.Order.ID, ev.Order.Since = membership.ChangeID(w.orders), int64(n.now)
	w.printf("%d is asked to cancel", n.id.ID)
	n.step(ev)
	return nil
}

var errLeft = errors.New("nobody waits any more")

func (w *world) scriptLeave(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	n.step(&ChangeWaitEnded{ID: n.reads, Cause: errLeft})
	return nil
}
