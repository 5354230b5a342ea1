package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// A backup is one file:
//
//	header  magic 8, version 1 (and backupMachine 1), length of the rest without the checksum 4, group 8, term 8, index 8, time 8, term of the
//	        hard state 8, node 8, incarnation 8, taken 8, term 8 and index 8 of the configuration, length of the cluster's
//	        name 1, the name, the version of the state machine 8 if backupMachine is set, the configuration, CRC-32C 4
//	piece   length 4, from 1 to 1 MiB, and so many bytes of the content; any number of pieces
//	end     0 4, length of the content 8, CRC-32C of the content 4, CRC-32C of the header's checksum and of the end so far 4
//
// All numbers are little endian. A later version may only be read by those who know it.
const (
	backupMagic       = "troupeBK"
	backupVersion     = 1
	backupMachine     = 0x80 // a bit beside the version
	backupPrefixBytes = 8 + 1 + 4
	backupMetaBytes   = 10 * 8
	backupHeaderMax   = 32 << 20
	backupPieceBytes  = 1 << 20
	backupEndBytes    = 4 + 8 + 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BackupMeta is what a backup says of itself.
type BackupMeta struct {
	Group membership.GroupID
	// LogID is the last entry of which the backup holds the effects, and Time that entry's
	// time. It holds those of all entries before it, and of none behind it.
	core.LogID
	Time int64
	// Configuration is the one that was in force at LogID.
	Configuration core.ConfigurationAt
	// Version is that of the state machine which wrote the content: none below it reads
	// that. 0 if the machine tells none.
	Version uint64
	// Cluster is the cluster's name as statuses show it, which is not its id: a backup does
	// not hold that.
	Cluster string
	// HardTerm is the term of the member that gave the backup, and Node that member.
	HardTerm core.Term
	Node     membership.Identity
	// Taken is when, by the clock of that member.
	Taken time.Time
	// SizeBytes and Checksum (CRC-32C) are those of the content. They are known when it was
	// written or read to its end.
	SizeBytes uint64
	Checksum  uint32
}

func (m *BackupMeta) header() []byte {
	configuration := []byte(nil)
	if !m.Configuration.Configuration.IsZero() {
		configuration = m.Configuration.Configuration.Encode()
	}
	b := append([]byte(backupMagic), backupVersion)
	var of []byte
	if m.Version != 0 {
		b[len(backupMagic)] |= backupMachine
		of = binary.LittleEndian.AppendUint64(nil, m.Version)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(backupMetaBytes+1+len(m.Cluster)+len(of)+len(configuration)))
	for _, n := range []uint64{
		uint64(m.Group), uint64(m.Term), uint64(m.Index), uint64(m.Time), uint64(m.HardTerm), uint64(m.Node.ID),
		uint64(m.Node.Incarnation), uint64(m.Taken.UnixNano()), uint64(m.Configuration.Term), uint64(m.Configuration.Index),
	} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(append(b, byte(len(m.Cluster))), m.Cluster...)
	b = append(append(b, of...), configuration...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// BackupWriter writes a backup.
type BackupWriter struct {
	to     io.Writer
	meta   BackupMeta
	header uint32
	piece  []byte
}

// NewBackupWriter begins a backup. SizeBytes and Checksum of meta are ignored.
func NewBackupWriter(to io.Writer, meta BackupMeta) (*BackupWriter, error) {
	if len(meta.Cluster) > 255 {
		return nil, fmt.Errorf("storage: a cluster's name of %d bytes", len(meta.Cluster))
	}
	meta.SizeBytes, meta.Checksum = 0, 0
	header := meta.header()
	w := &BackupWriter{to: to, meta: meta, header: binary.LittleEndian.Uint32(header[len(header)-4:])}
	w.piece = append(make([]byte, 0, 4+backupPieceBytes), 0, 0, 0, 0)
	_, err := to.Write(header)
	return w, err
}

// Write implements io.Writer: it takes the content.
func (w *BackupWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), cap(w.piece)-len(w.piece))
		w.piece = append(w.piece, p[:n]...)
		w.meta.Checksum = crc32.Update(w.meta.Checksum, castagnoli, p[:n])
		w.meta.SizeBytes += uint64(n)
		p, written = p[n:], written+n
		if len(w.piece) == cap(w.piece) {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

func (w *BackupWriter) flush() error {
	if len(w.piece) == 4 {
		return nil
	}
	binary.LittleEndian.PutUint32(w.piece, uint32(len(w.piece)-4))
	_, err := w.to.Write(w.piece)
	w.piece = w.piece[:4]
	return err
}

// Finish ends the backup, and returns what it says of itself. Without it, it is cut off.
func (w *BackupWriter) Finish() (BackupMeta, error) {
	if err := w.flush(); err != nil {
		return BackupMeta{}, err
	}
	_, err := w.to.Write(backupEnd(w.header, w.meta.SizeBytes, w.meta.Checksum))
	return w.meta, err
}

func backupEnd(header uint32, size uint64, sum uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0)
	b = binary.LittleEndian.AppendUint64(b, size)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return binary.LittleEndian.AppendUint32(b, crc32.Update(header, castagnoli, b))
}
