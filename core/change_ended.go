package core

import (
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// This file is about orders that are asked again because the answer was lost. What an entry
// tells of is known by its change. The rest is remembered: an order to which nothing was
// appended must not begin anew what somebody has cancelled, and an order to cancel must not
// cancel the next change.

// endedOrder is an order that this node has answered while it led, with what it was
// answered.
type endedOrder struct {
	id     membership.ChangeID
	answer *ChangeResponse
}

// endedOrdersMax bounds how many are remembered, the last ones.
const endedOrdersMax = 256

// remember remembers what an order was answered. The answer is not changed any more.
func (e *Engine) remember(id membership.ChangeID, r *ChangeResponse) {
	if len(e.endedOrders) == endedOrdersMax {
		e.endedOrders = slices.Delete(e.endedOrders, 0, 1)
	}
	e.endedOrders = append(e.endedOrders, endedOrder{id, r})
}

// answered is what an order was answered, nil if that is not known, or if the entry is gone
// with which it began: then it never was.
func (e *Engine) answered(id membership.ChangeID) *ChangeResponse {
	for i := len(e.endedOrders) - 1; i >= 0; i-- {
		if o := &e.endedOrders[i]; o.id == id && (o.answer.Code != ChangeAccepted || e.log.holds(o.answer.At)) {
			answer := *o.answer
			return &answer
		}
	}
	return nil
}
