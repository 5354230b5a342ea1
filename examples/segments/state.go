package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage"
)

// state is a directory of segments, and where each key is in them. What the files hold is a
// function of the log alone, so that members have the same files.
type state struct {
	dir          string
	segmentBytes int64
	// segments are all, the oldest first; the last one is written to, by tail.
	segments []*segment
	tail     *os.File
	keys     map[string]location
	last     troupe.LogID
	// removed counts the segments that were removed.
	removed int
}

// load reads a directory of segments. A crash may have torn the end of the newest.
func load(ctx context.Context, dir string, segmentBytes int64) (*state, error) {
	s := &state{dir: dir, segmentBytes: segmentBytes, keys: make(map[string]location)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if number, ok := parseSegment(entry.Name()); ok {
			s.segments = append(s.segments, &segment{number: number, path: filepath.Join(dir, entry.Name()), hash: sha256.New()})
		}
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	for i, seg := range s.segments {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.read(seg, i == len(s.segments)-1); err != nil {
			return nil, fmt.Errorf("%s: %w", seg.path, err)
		}
	}
	return s, s.openTail()
}

// openTail opens the newest segment behind its last record, or the first one. What it holds is
// durable then. A crash may have come before the next one was begun.
func (s *state) openTail() error {
	if len(s.segments) == 0 {
		return s.begin(1)
	}
	seg := s.segments[len(s.segments)-1]
	f, err := os.OpenFile(seg.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	s.tail = f
	if err := errors.Join(f.Truncate(seg.bytes), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	if seg.bytes >= s.segmentBytes {
		return errors.Join(f.Close(), s.begin(seg.number+1))
	}
	_, err = f.Seek(seg.bytes, io.SeekStart)
	return err
}

func (s *state) begin(number int) error {
	seg, f, err := openSegment(s.dir, number)
	s.segments, s.tail = append(s.segments, seg), f
	return err
}

// read takes in the records of a segment.
func (s *state) read(seg *segment, newest bool) error {
	f, err := os.Open(seg.path)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := bufio.NewReaderSize(f, 64<<10); ; {
		rec, err := readRecord(r)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, errTorn) && newest:
			return nil
		case errors.Is(err, errTorn):
			return fmt.Errorf("%w: %w", troupe.ErrCorrupt, err)
		case err != nil:
			return err
		}
		s.took(seg, &rec, encodeRecord(rec.kind, rec.id, rec.payload))
	}
}

// took notes a record that is in a segment.
func (s *state) took(seg *segment, rec *record, b []byte) {
	if rec.kind != kindMark {
		s.forget(rec.key)
		s.keys[rec.key] = location{seg.number, seg.bytes, rec.bytes}
		seg.live += rec.bytes
	}
	seg.bytes += rec.bytes
	seg.hash.Write(b)
	s.last = rec.id
}

func (s *state) forget(key string) {
	if old, there := s.keys[key]; there {
		s.find(old.segment).live -= old.bytes
	}
}

func (s *state) find(number int) *segment {
	i, _ := slices.BinarySearchFunc(s.segments, number, func(seg *segment, n int) int { return cmp.Compare(seg.number, n) })
	return s.segments[i]
}

// write appends a record. A segment that is full by it is sealed.
func (s *state) write(rec *record) error {
	b := encodeRecord(rec.kind, rec.id, rec.payload)
	if _, err := s.tail.Write(b); err != nil {
		return err
	}
	rec.bytes = int64(len(b))
	seg := s.segments[len(s.segments)-1]
	s.took(seg, rec, b)
	if seg.bytes < s.segmentBytes {
		return nil
	}
	if err := errors.Join(s.tail.Sync(), s.tail.Close()); err != nil {
		return err
	}
	return s.begin(seg.number + 1)
}

// compact moves what lives of a sealed segment that is mostly dead to the end, and removes it.
// The newest sealed one stays: it may have the last entry.
func (s *state) compact() error {
	for i, seg := range s.segments[:max(len(s.segments)-2, 0)] {
		if 2*seg.live >= seg.bytes {
			continue
		}
		if err := s.move(seg); err != nil {
			return err
		}
		// What was moved is durable before the segment goes.
		if err := s.tail.Sync(); err != nil {
			return err
		}
		if err := os.Remove(seg.path); err != nil {
			return err
		}
		s.segments = slices.Delete(s.segments, i, i+1)
		s.removed++
		return nil
	}
	return nil
}

func (s *state) move(seg *segment) error {
	f, err := os.Open(seg.path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for at := int64(0); seg.live > 0; {
		rec, err := readRecord(r)
		if err != nil {
			return fmt.Errorf("%s: %w", seg.path, err)
		}
		here := s.keys[rec.key] == location{seg.number, at, rec.bytes}
		at += rec.bytes
		if rec.kind == kindMark || !here {
			continue
		}
		if err := s.write(&record{kind: kindMoved, id: s.last, key: rec.key, payload: rec.payload}); err != nil {
			return err
		}
	}
	return nil
}

// get reads a key's value.
func (s *state) get(key string) (value []byte, there bool, err error) {
	at, there := s.keys[key]
	if !there {
		return nil, false, nil
	}
	f, err := os.Open(s.find(at.segment).path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	rec, err := readRecord(io.NewSectionReader(f, at.offset, at.bytes))
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", f.Name(), err)
	}
	_, value, _ = splitPut(rec.payload)
	return value, true, nil
}

// files are the segments, for a snapshot: all but the newest are sealed.
func (s *state) files() []storage.File {
	var files []storage.File
	for i, seg := range s.segments {
		f := storage.File{Name: segmentName(seg.number), SizeBytes: uint64(seg.bytes), Sealed: i < len(s.segments)-1, Path: seg.path}
		copy(f.SHA256[:], seg.hash.Sum(nil))
		files = append(files, f)
	}
	return files
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it keeps them by itself, and opens no directory for that
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
