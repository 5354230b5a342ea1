package badger

import (
	"log/slog"
	"sync"
	"time"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// marker keeps the watermark file up with the batches. The file is not the log: a
// lack that passes, of descriptors for one, is waited for.
type marker struct {
	dir    string
	delay  time.Duration
	logger *slog.Logger

	// file is held while the file is written, and taken before mu.
	file sync.Mutex

	mu      sync.Mutex
	mark    watermark // what the file should say, without changes
	recent  recent    // whose they are
	written uint64    // what the file says
	armed   bool
	stopped bool
	timer   *time.Timer
	// behind is since when the file lacks something because of a passing lack, which
	// was told; zero if it does not.
	behind time.Time
	err    error
}

func (m *marker) start(dir string, mark watermark, delay time.Duration, logger *slog.Logger) {
	m.dir, m.mark, m.written, m.delay, m.logger = dir, mark, mark.number, delay, logger
}

// durable notes that a batch is durable, and of the header or not and of which groups
// it was. The file says so at once or, without atOnce, after the delay. It stays behind
// for no longer than the patience with a passing lack. An error is final.
func (m *marker) durable(number uint64, header bool, groups []*groupState, atOnce bool) error {
	m.mu.Lock()
	m.mark.number = number
	if header {
		m.recent.header = number
	}
	for _, g := range groups {
		m.recent.touch(change{g.group, number, g.next.weight})
	}
	err := m.err
	atOnce = atOnce || !m.behind.IsZero() && time.Since(m.behind) > disk.Patience
	if err == nil && !atOnce {
		m.arm()
	}
	m.mu.Unlock()
	if err != nil || !atOnce {
		return err
	}
	return m.writePatiently()
}

// arm has the file written after the delay. The caller holds mu.
func (m *marker) arm() {
	if m.armed || m.stopped {
		return
	}
	m.armed = true
	if m.timer == nil {
		m.timer = time.AfterFunc(m.delay, m.late)
	} else {
		m.timer.Reset(m.delay)
	}
}

func (m *marker) late() {
	m.mu.Lock()
	m.armed = false
	m.mu.Unlock()
	err := m.writeFile(false)
	if !disk.Passing(err) {
		return // what is final was kept for the next batch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.behind.IsZero() {
		m.behind = time.Now()
		m.logger.Warn("badger: the watermark is late, and is tried again", "error", err)
	}
	m.arm()
}

// writePatiently writes the file, also over a passing lack. An error is final.
func (m *marker) writePatiently() error {
	err := disk.Patiently(disk.Patience, func() error { return m.writeFile(true) })
	if err != nil {
		m.mu.Lock()
		m.err = err
		m.mu.Unlock()
	}
	return err
}

// writeFile brings the file up to date. An error is final unless it passes.
func (m *marker) writeFile(atOnce bool) error {
	m.file.Lock()
	defer m.file.Unlock()
	m.mu.Lock()
	mark, err := m.mark, m.err
	if err == nil && mark.number != m.written {
		mark.header, mark.floor, mark.changes = m.recent.header, m.recent.floor, m.recent.changes()
	}
	m.mu.Unlock()
	if err != nil || mark.number == m.written {
		return err
	}
	err = mark.write(m.dir, atOnce)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.written, m.behind = mark.number, time.Time{}
	case !disk.Passing(err):
		m.err = err
	}
	return err
}

// stop brings the file up to date. durable is not called any more.
func (m *marker) stop() error {
	m.mu.Lock()
	m.stopped = true
	if m.timer != nil {
		m.timer.Stop()
	}
	m.mu.Unlock()
	return m.writePatiently()
}
