package tcp

import (
	"sync"
	"time"
)

const (
	// repeatedAfter is when a line about the same trouble is logged again.
	repeatedAfter = time.Minute
	// troublesMax bounds what is remembered of them.
	troublesMax = 1024
)

// LinesDropped returns how many lines of the log were lost, because Config.Logger was
// too slow or failed.
func (n *Network) LinesDropped() int64 { return n.lines.Lost() }

// troubles keeps trouble that repeats itself from flooding the log.
type troubles struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// tell reports whether a line about this trouble is due.
func (t *troubles) tell(trouble string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if last, known := t.last[trouble]; known && now.Sub(last) < repeatedAfter {
		return false
	}
	if t.last == nil || len(t.last) >= troublesMax {
		t.last = make(map[string]time.Time)
	}
	t.last[trouble] = now
	return true
}
