package observe

import "github.com/trouperaft/troupe/tracing"

// What is turned on: a meter of the node, of the group or of the stream, and the
// traces of the group. A nil watch has none.

func (w *Watch) ofNode() *nodeMeter {
	if w == nil {
		return nil
	}
	return w.node.meter
}

func (w *Watch) ofGroup() *groupMeter {
	if w == nil {
		return nil
	}
	return w.meter
}

func (w *Watch) ofStream() *streamMeter {
	if w == nil {
		return nil
	}
	return w.stream
}

func (w *Watch) traced() *traces {
	if w == nil {
		return nil
	}
	return w.traces
}

// Tell tells w of e.
func (e Noticed) Tell(w *Watch) {
	if w != nil {
		w.noticed(e.Notice)
	}
}

// Tell tells w of e.
func (e Failed) Tell(w *Watch) {
	if m := w.ofNode(); m != nil {
		m.failures.Add(1)
	}
}

// Tell tells w of e.
func (e HandedOver) Tell(w *Watch) {
	if m := w.ofNode(); m != nil {
		m.handedOver(&e)
	}
}

// Tell tells w of e.
func (e TakenIn) Tell(w *Watch) {
	if m := w.ofNode(); m != nil {
		m.passed(trafficReceived, e.Message)
	}
}

// Tell tells w of e.
func (e Wrote) Tell(w *Watch) {
	if m := w.ofNode(); m != nil {
		m.wrote(&e)
	}
}

// Tell tells w of e.
func (e Burst) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.burst(&e)
	}
}

// Tell tells w of e.
func (e Overloaded) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.counts.overloads[e.How].Add(1)
	}
}

// Tell tells w of e.
func (e Passed) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.passed(&e)
	}
}

// Tell tells w of e.
func (e ReadsServed) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.read.took(instant(m.env).Sub(e.Since))
	}
}

// Tell tells w of e.
func (e Durable) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.durable(&e)
	}
	if t := w.traced(); t != nil {
		t.durable(&e)
	}
}

// Tell tells w of e.
func (e Applied) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.wasApplied(&e)
	}
	if t := w.traced(); t != nil {
		t.applied(&e)
	}
}

// Tell tells w of e.
func (e ReadEnded) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.readEnded(&e)
	}
	if t := w.traced(); t != nil {
		t.readEnded(&e)
	}
}

// Tell tells w of e.
func (e Built) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.snapshot(snapshotBuilt, e.Span.Begun, e.Meta, e.Err == nil)
	}
	if t := w.traced(); t != nil {
		t.built(&e)
	}
}

// Tell tells w of e.
func (e Recorded) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.snapshot(snapshotRecorded, e.Span.Begun, e.Meta, e.Err == nil)
	}
}

// Tell tells w of e.
func (e Exported) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.snapshot(snapshotExported, e.Span.Begun, e.Meta, e.Err == nil)
	}
	if t := w.traced(); t != nil {
		t.built(&Built{Span: e.Span, Meta: e.Meta, Err: e.Err})
	}
}

// Tell tells w of e.
func (e Transferred) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.snapshot(snapshotSent, e.Span.Begun, e.Meta, e.Done)
	}
	if t := w.traced(); t != nil {
		t.transferred(&e)
	}
}

// Tell tells w of e.
func (e Arrived) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.snapshot(snapshotReceived, e.Begun, e.Meta, e.Err == nil)
	}
	if t := w.traced(); t != nil {
		t.arrived(&e)
	}
}

// Tell tells w of e.
func (e Restored) Tell(w *Watch) {
	if m := w.ofGroup(); m != nil {
		m.snapshot(snapshotInstalled, e.Span.Begun, e.Meta, e.Err == nil)
	}
	if t := w.traced(); t != nil {
		t.restored(&e)
	}
}

// Tell tells w of e.
func (e Sent) Tell(w *Watch) {
	if m := w.ofStream(); m != nil {
		m.sent(&e)
	}
	if t := w.traced(); t != nil {
		t.sent(&e)
	}
}

// Tell tells w of e.
func (e Matched) Tell(w *Watch) {
	if m := w.ofStream(); m != nil {
		m.matched(e.Match)
	}
	if t := w.traced(); t != nil {
		w.followed = t.matched(w.peer, w.followed, e.Match)
	}
}

// Tell tells w of e.
func (e Received) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.received(e.Message)
	}
}

// Tell tells w of e.
func (e Stepped) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.stepped(&e)
	}
}

// Tell tells w of e.
func (e Released) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.released(e.Message)
	}
}

// Tell tells w of e.
func (e Submitted) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.submitted(e.Write)
	}
}

// Tell tells w of e.
func (e Committed) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.committed(e.Index)
	}
}

// Tell tells w of e.
func (e Changed) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.changed(e.Changed)
	}
}

// Tell tells w of e.
func (e Asking) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.asking(&e)
	}
}

// Tell tells w of e.
func (e MembersChanged) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.membersChanged(&e)
	}
}

// Tell tells w of e.
func (e LeadershipMoved) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.leadershipMoved(&e)
	}
}

// Tell tells w of e.
func (e LeadingOver) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.note(e.Span, tracing.EventContextEnded, tracing.ReasonKey.String(e.Why.Error()))
	}
}

// Tell tells w of e.
func (e LeadingEnded) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.end(e.Span, e.Err)
	}
}

// Tell tells w of e.
func (e Streams) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.replicates(e.Peers)
	}
}

// Tell tells w of e.
func (e TimerFires) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.timerFires(e.Timer)
	}
}

// Tell tells w of e.
func (e TimerFired) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.timerFired(e.Timer, &e.Changed)
	}
}

// Tell tells w of e.
func (e Room) Tell(w *Watch) {
	if e.Span.Traced() {
		e.follow(w)
	}
}

func (e Room) follow(w *Watch) { w.traces.waited(e.Span, tracing.EventRoom) }

// Tell tells w of e.
func (e Taken) Tell(w *Watch) {
	if e.Span.Traced() {
		e.follow(w)
	}
}

func (e Taken) follow(w *Watch) { w.traces.waited(e.Span, tracing.EventTaken) }

// Tell tells w of e.
func (e Admitted) Tell(w *Watch) {
	if e.Span.Traced() {
		w.traces.admitted(&e)
	}
}

// Tell tells w of e.
func (e Forwarded) Tell(w *Watch) {
	if e.Span.Traced() {
		e.follow(w)
	}
}

func (e Forwarded) follow(w *Watch) { w.traces.forwarded(&e) }

// Tell tells w of e.
func (e LeaderChanged) Tell(w *Watch) {
	if e.Span.Traced() {
		e.follow(w)
	}
}

func (e LeaderChanged) follow(w *Watch) { w.traces.leaderChanged(e.Span) }

// Tell tells w of e.
func (e Answered) Tell(w *Watch) {
	if e.Span.Traced() {
		w.traces.answered(&e)
	}
}

// Tell tells w of e.
func (e Requeued) Tell(w *Watch) {
	if e.Span.Traced() {
		w.traces.requeued(e.Span)
	}
}

// Tell tells w of e.
func (e Completed) Tell(w *Watch) {
	if e.Span.Traced() {
		e.follow(w)
	}
}

func (e Completed) follow(w *Watch) { w.traces.completed(&e) }

// Tell tells w of e.
func (e ReadAsked) Tell(w *Watch) {
	if e.Span.Traced() {
		w.traces.readAsked(e.Span)
	}
}

// Tell tells w of e.
func (e ReadAgain) Tell(w *Watch) {
	if e.Span.Traced() {
		w.traces.readAgain(e.Span)
	}
}

// Tell tells w of e.
func (e ReadConfirmed) Tell(w *Watch) {
	if e.Span.Traced() {
		w.traces.readConfirmed(&e)
	}
}

// Tell tells w of e.
func (e Recovered) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.recovered(&e)
	}
}

// Tell tells w of e.
func (e Started) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.started(&e)
	}
}

// Tell tells w of e.
func (e Formed) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.note(e.Span, tracing.EventBegun)
	}
}

// Tell tells w of e.
func (e Bootstrapped) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.end(e.Span, e.Err)
	}
}

// Tell tells w of e.
func (e Transferring) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.transferring(&e)
	}
}

// Tell tells w of e.
func (e Progressed) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.progressed(&e)
	}
}

// Tell tells w of e.
func (e Spared) Tell(w *Watch) {
	if e.Bytes == 0 {
		return
	}
	if m := w.ofGroup(); m != nil {
		m.counts.spared.Add(int64(e.Bytes))
	}
	if t := w.traced(); t != nil {
		t.set(e.Span, tracing.SparedBytesKey.Int64(int64(e.Bytes)))
	}
}

// Tell tells w of e.
func (e Resumed) Tell(w *Watch) {
	if t := w.traced(); t != nil {
		t.resumed(&e)
	}
}
