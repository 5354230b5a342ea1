package badger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trouperaft/troupe/storage"
)

// Header implements storage.LogStore.
func (s *Store) Header() storage.Header { return s.header }

// RecordPromise implements storage.LogStore. The watermark says so at once, so
// that no loss of the newest batches brings a shorter promise back unnoticed.
func (s *Store) RecordPromise(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("badger: a promise of %v", d)
	}
	return s.changeHeader(ctx, func(h *storage.Header) { h.Promise = d })
}

// Refuse implements storage.LogStore. It keeps the first 1,024 bytes of a
// reason.
func (s *Store) Refuse(ctx context.Context, reason string) error {
	if reason == "" {
		return errors.New("badger: a refusal without a reason")
	}
	if len(reason) > storage.RefusalBytesMin {
		reason = strings.ToValidUTF8(reason[:storage.RefusalBytesMin], "")
	}
	err := s.changeHeader(ctx, func(h *storage.Header) { h.Refused = reason })
	var refused *storage.RefusedError
	if errors.As(err, &refused) {
		return nil // the first reason stays
	}
	return err
}

// changeHeader makes durable what change makes of the header.
func (s *Store) changeHeader(ctx context.Context, change func(*storage.Header)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.RUnlock()
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	before := s.record.Header
	change(&s.record.Header)
	if s.record.Header == before {
		return nil
	}
	if err := s.writeHeader(); err != nil {
		// Asked for again, it must not count as recorded (rule 13).
		s.record.Header = before
		return err
	}
	return nil
}

// writable says why nothing is written any more, or ever. The caller holds
// s.write.
func (s *Store) writable() error {
	switch {
	case s.options.Inspect:
		return storage.ErrInspection
	case s.failed != nil:
		return s.failed
	case s.record.Refused != "":
		return s.refusal()
	}
	return nil
}

func (s *Store) refusal() error {
	return &storage.RefusedError{Store: s.dir, Reason: s.record.Refused}
}

func (s *Store) writeHeader() error {
	if err := s.room.takeLow(); err != nil {
		return err
	}
	t := s.begin()
	defer t.end()
	t.header, t.atOnce = true, true
	return t.commit()
}
