package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// The watermark file says that the batches up to a number were durable, and whose the
// newest of them were. It is made before the database, with number 0, and only ever
// replaced as a whole:
//
//	magic 8, version 1, node 8, incarnation 8, number 8, batch of the header 8, floor 8, changes 4,
//	for each change: group 8, batch 8, weight 8; CRC-32C 4; little endian
//
// Version 1, which ends with the number and the checksum, is read as well.
const (
	watermarkName     = "WATERMARK"
	watermarkMagic    = "troupeWM"
	watermarkVersion  = 2
	watermarkBytes    = 8 + 1 + 8 + 8 + 8 + 8 + 8 + 4 + 4
	watermarkBytesOld = 8 + 1 + 8 + 8 + 8 + 4
	changeBytes       = 8 + 8 + 8
)

type watermark struct {
	node        membership.NodeID
	incarnation membership.Incarnation
	number      uint64
	// header, floor and changes are those of a recent at that batch.
	header, floor uint64
	changes       []change
}

func (w *watermark) encode() []byte {
	b := append([]byte(watermarkMagic), watermarkVersion)
	for _, n := range []uint64{uint64(w.node), uint64(w.incarnation), w.number, w.header, w.floor} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(w.changes)))
	for _, c := range w.changes {
		b = binary.LittleEndian.AppendUint64(b, uint64(c.group))
		b = binary.LittleEndian.AppendUint64(b, c.batch)
		b = binary.LittleEndian.AppendUint64(b, c.weight)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeWatermark(b []byte) (watermark, error) {
	const damaged = "the watermark file is damaged"
	end := len(b) - 4
	if len(b) < watermarkBytesOld || string(b[:8]) != watermarkMagic || crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return watermark{}, corrupt(damaged)
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
	w := watermark{node: membership.NodeID(at(9)), incarnation: membership.Incarnation(at(17)), number: at(25)}
	switch version := b[8]; {
	case version == 1 && len(b) == watermarkBytesOld:
		w.floor = w.number // nobody knows whose the batches were
	case version == watermarkVersion && len(b) >= watermarkBytes:
		w.header, w.floor = at(33), at(41)
		n := int(binary.LittleEndian.Uint32(b[49:]))
		if len(b) != watermarkBytes+n*changeBytes {
			return watermark{}, corrupt(damaged)
		}
		for i := watermarkBytes - 4; i < end; i += changeBytes {
			w.changes = append(w.changes, change{membership.GroupID(at(i)), at(i + 8), at(i + 16)})
		}
	case version == 1 || version == watermarkVersion:
		return watermark{}, corrupt(damaged)
	default:
		return watermark{}, fmt.Errorf("badger: the watermark file has version %d: only 1 and %d are known", version, watermarkVersion)
	}
	if w.node == 0 || w.incarnation == 0 {
		return watermark{}, corrupt("the watermark file contradicts itself")
	}
	return w, nil
}

// readWatermark reads the watermark file of dir; there is none if found is
// false.
func readWatermark(dir string) (w watermark, found bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, watermarkName))
	if errors.Is(err, fs.ErrNotExist) {
		return watermark{}, false, nil
	}
	if err != nil {
		return watermark{}, false, fmt.Errorf("badger: %w", err)
	}
	w, err = decodeWatermark(b)
	return w, true, err
}

// write replaces the watermark file of dir; atOnce also makes the exchange
// durable.
func (w *watermark) write(dir string, atOnce bool) error {
	if err := disk.Replace(filepath.Join(dir, watermarkName), w.encode(), atOnce); err != nil {
		return fmt.Errorf("badger: watermark: %w", err)
	}
	return nil
}

// behind returns an error if the database ends before the watermark.
func (w *watermark) behind(number uint64) error {
	if number < w.number {
		return corrupt("the last batch is %d, and %d was durable", number, w.number)
	}
	return nil
}
