package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// BackupFault is what is wrong with a file that should be a backup.
type BackupFault uint8

const (
	// BackupEmpty: it has no bytes.
	BackupEmpty BackupFault = iota + 1
	// BackupNone: it is no backup.
	BackupNone
	// BackupVersion: it has a version that this program does not know.
	BackupVersion
	// BackupCut: its end lacks.
	BackupCut
	// BackupDamaged: it is not what was written.
	BackupDamaged
)

// String returns "empty", "no backup", "of an unknown version", "cut off" or "damaged".
func (f BackupFault) String() string {
	if f < BackupEmpty || f > BackupDamaged {
		return fmt.Sprintf("fault %d", uint8(f))
	}
	return [...]string{"empty", "no backup", "of an unknown version", "cut off", "damaged"}[f-1]
}

// BackupError: a file cannot be restored, because it is no whole backup. Of one that is cut
// off or damaged it wraps core.ErrCorrupt.
type BackupError struct {
	Fault BackupFault
	// Text is more, for people.
	Text string
}

// Error implements error.
func (e *BackupError) Error() string {
	return fmt.Sprintf("storage: the backup is %v: %s", e.Fault, e.Text)
}

// Unwrap returns core.ErrCorrupt, or nil.
func (e *BackupError) Unwrap() error {
	if e.Fault == BackupCut || e.Fault == BackupDamaged {
		return core.ErrCorrupt
	}
	return nil
}

func backupFault(fault BackupFault, format string, args ...any) error {
	return &BackupError{fault, fmt.Sprintf(format, args...)}
}

// BackupReader reads the content of a backup.
type BackupReader struct {
	from   *bufio.Reader
	meta   BackupMeta
	header uint32
	left   int // of the piece
	err    error
}

// NewBackupReader reads what a backup says of itself. What is wrong with it is a
// *BackupError; an error of from is wrapped.
func NewBackupReader(from io.Reader) (*BackupReader, error) {
	r := &BackupReader{from: bufio.NewReaderSize(from, 256<<10)}
	if _, err := r.from.Peek(1); errors.Is(err, io.EOF) {
		return nil, backupFault(BackupEmpty, "it has no bytes")
	}
	b := make([]byte, backupPrefixBytes)
	n, err := io.ReadFull(r.from, b)
	if known := min(n, len(backupMagic)); !bytes.Equal(b[:known], []byte(backupMagic)[:known]) {
		return nil, backupFault(BackupNone, "it begins with %q", b[:known])
	}
	if err != nil {
		return nil, backupCutOff("its header", err)
	}
	if v := b[8] &^ backupMachine; v != backupVersion {
		return nil, backupFault(BackupVersion, "it has version %d, and only %d is known", v, backupVersion)
	}
	rest := binary.LittleEndian.Uint32(b[9:])
	if rest < backupMetaBytes+1 || rest > backupHeaderMax {
		return nil, backupFault(BackupDamaged, "a header of %d bytes", rest)
	}
	// What the length says is not believed before so much has come.
	body := bytes.NewBuffer(b)
	if _, err := io.CopyN(body, r.from, int64(rest)+4); err != nil {
		return nil, backupCutOff("its header", err)
	}
	if err := r.decode(body.Bytes()); err != nil {
		return nil, err
	}
	return r, nil
}

func backupCutOff(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return backupFault(BackupCut, "%s ends early", what)
	}
	return fmt.Errorf("storage: %s cannot be read: %w", what, err)
}

// decode reads the header.
func (r *BackupReader) decode(b []byte) (err error) {
	b, sum := b[:len(b)-4], b[len(b)-4:]
	r.header = binary.LittleEndian.Uint32(sum)
	if crc32.Checksum(b, castagnoli) != r.header {
		return backupFault(BackupDamaged, "its header has a bad checksum")
	}
	var n [10]uint64
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(b[backupPrefixBytes+8*i:])
	}
	m := &r.meta
	m.Group, m.LogID, m.Time = membership.GroupID(n[0]), core.LogID{Term: core.Term(n[1]), Index: core.Index(n[2])}, int64(n[3])
	m.HardTerm, m.Node = core.Term(n[4]), membership.Identity{ID: membership.NodeID(n[5]), Incarnation: membership.Incarnation(n[6])}
	m.Taken = time.Unix(0, int64(n[7])).UTC()
	m.Configuration.LogID = core.LogID{Term: core.Term(n[8]), Index: core.Index(n[9])}
	versioned := b[8]&backupMachine != 0
	b = b[backupPrefixBytes+backupMetaBytes:]
	name := int(b[0])
	if len(b) < 1+name {
		return backupFault(BackupDamaged, "its header contradicts itself")
	}
	m.Cluster = string(b[1 : 1+name])
	c := b[1+name:]
	if versioned {
		if len(c) < 8 {
			return backupFault(BackupDamaged, "its header contradicts itself")
		}
		m.Version, c = binary.LittleEndian.Uint64(c), c[8:]
	}
	if len(c) > 0 {
		if m.Configuration.Configuration, err = membership.Decode(c); err != nil {
			return backupFault(BackupDamaged, "its configuration: %v", err)
		}
	}
	const most = 1 << 62 // rule 32
	if m.Group == 0 || m.Index == 0 || m.Index > most || max(m.Term, m.HardTerm) > most || m.Configuration.Index > m.Index {
		return backupFault(BackupDamaged, "its header contradicts itself")
	}
	return nil
}

// Meta returns what the backup says of itself. Size and checksum are known at the end.
func (r *BackupReader) Meta() BackupMeta { return r.meta }

// Read implements io.Reader. It returns io.EOF only if all that was read is what was
// written, and nothing follows it.
func (r *BackupReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		if r.left, r.err = r.next(); r.err != nil {
			return 0, r.err
		}
	}
	n, err := r.from.Read(p[:min(len(p), r.left)])
	r.left -= n
	r.meta.SizeBytes += uint64(n)
	r.meta.Checksum = crc32.Update(r.meta.Checksum, castagnoli, p[:n])
	if err != nil {
		r.err = backupCutOff("its content", err)
	}
	return n, r.err
}

// next reads the length of the next piece, or the end.
func (r *BackupReader) next() (int, error) {
	var b [backupEndBytes]byte
	if _, err := io.ReadFull(r.from, b[:4]); err != nil {
		return 0, backupCutOff("its content", err)
	}
	switch n := binary.LittleEndian.Uint32(b[:]); {
	case n > backupPieceBytes:
		return 0, backupFault(BackupDamaged, "a piece of %d bytes", n)
	case n > 0:
		return int(n), nil
	}
	if _, err := io.ReadFull(r.from, b[4:]); err != nil {
		return 0, backupCutOff("its end", err)
	}
	if !bytes.Equal(b[:], backupEnd(r.header, r.meta.SizeBytes, r.meta.Checksum)) {
		return 0, backupFault(BackupDamaged, "its content has a bad checksum")
	}
	switch _, err := r.from.ReadByte(); {
	case errors.Is(err, io.EOF):
		return 0, io.EOF
	case err != nil:
		return 0, fmt.Errorf("storage: the end of the backup cannot be read: %w", err)
	}
	return 0, backupFault(BackupDamaged, "something follows its end")
}

// VerifyBackup reads a backup to its end. What is wrong with it is a *BackupError.
func VerifyBackup(from io.Reader) (BackupMeta, error) {
	r, err := NewBackupReader(from)
	if err != nil {
		return BackupMeta{}, err
	}
	_, err = io.Copy(io.Discard, r)
	return r.Meta(), err
}
