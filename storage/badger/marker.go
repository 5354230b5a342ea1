package badger

import (
	"sync"
	"time"
)

// marker keeps the watermark file up with the batches.
type marker struct {
	dir   string
	delay time.Duration

	// file is held while the file is written, and taken before mu.
	file sync.Mutex

	mu      sync.Mutex
	mark    watermark // what the file should say
	written uint64    // what the file says
	armed   bool
	timer   *time.Timer
	err     error
}

func (m *marker) start(dir string, mark watermark, delay time.Duration) {
	m.dir, m.mark, m.written, m.delay = dir, mark, mark.number, delay
}

// durable notes that a batch is durable. The file says so at once or, without
// atOnce, after the delay. An error is final.
func (m *marker) durable(number uint64, atOnce bool) error {
	m.mu.Lock()
	m.mark.number = number
	err := m.err
	if err == nil && !atOnce && !m.armed {
		m.armed = true
		if m.timer == nil {
			m.timer = time.AfterFunc(m.delay, m.late)
		} else {
			m.timer.Reset(m.delay)
		}
	}
	m.mu.Unlock()
	if err != nil || !atOnce {
		return err
	}
	return m.writeFile(true)
}

func (m *marker) late() {
	m.mu.Lock()
	m.armed = false
	m.mu.Unlock()
	_ = m.writeFile(false) // kept in err, for the next batch
}

func (m *marker) writeFile(atOnce bool) error {
	m.file.Lock()
	defer m.file.Unlock()
	m.mu.Lock()
	mark, err := m.mark, m.err
	m.mu.Unlock()
	if err != nil || mark.number == m.written {
		return err
	}
	if err = mark.write(m.dir, atOnce); err == nil {
		m.written = mark.number
		return nil
	}
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
	return err
}

// stop brings the file up to date. durable is not called any more.
func (m *marker) stop() error {
	m.mu.Lock()
	if m.timer != nil {
		m.timer.Stop()
	}
	m.mu.Unlock()
	return m.writeFile(true)
}
