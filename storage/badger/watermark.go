package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// The watermark file says that the batches up to a number were durable. It is
// made before the database, with number 0, and only ever replaced as a whole:
//
//	magic 8, version 1, node 8, incarnation 8, number 8, CRC-32C 4; little endian
const (
	watermarkName    = "WATERMARK"
	watermarkMagic   = "troupeWM"
	watermarkVersion = 1
	watermarkBytes   = 8 + 1 + 8 + 8 + 8 + 4
)

type watermark struct {
	node        membership.NodeID
	incarnation membership.Incarnation
	number      uint64
}

func (w *watermark) encode() []byte {
	b := append([]byte(watermarkMagic), watermarkVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.node))
	b = binary.LittleEndian.AppendUint64(b, uint64(w.incarnation))
	b = binary.LittleEndian.AppendUint64(b, w.number)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeWatermark(b []byte) (watermark, error) {
	if len(b) != watermarkBytes || string(b[:8]) != watermarkMagic ||
		crc32.Checksum(b[:watermarkBytes-4], castagnoli) != binary.LittleEndian.Uint32(b[watermarkBytes-4:]) {
		return watermark{}, corrupt("the watermark file is damaged")
	}
	if b[8] != watermarkVersion {
		return watermark{}, fmt.Errorf("badger: the watermark file has version %d: only %d is known", b[8], watermarkVersion)
	}
	w := watermark{
		node:        membership.NodeID(binary.LittleEndian.Uint64(b[9:])),
		incarnation: membership.Incarnation(binary.LittleEndian.Uint64(b[17:])),
		number:      binary.LittleEndian.Uint64(b[25:]),
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
		return fmt.Errorf("badger: %w: the last batch is %d, and %d was durable", core.ErrCorrupt, number, w.number)
	}
	return nil
}
