package powerloss

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
)

// player makes what a disk may hold when the power fails, from a recording. It goes
// forward only.
type player struct {
	events []event
	// base holds exactly the first of them, the last of which is a flush; known is what
	// was told in them.
	base    *os.File
	flushed int
	known   note
}

// loss is what an image lacks of the writes that were not flushed.
type loss struct{ open, lost, torn int }

func (l *loss) add(m loss) {
	l.open += m.open
	l.lost += m.lost
	l.torn += m.torn
}

// image makes the file name what the disk may hold if the power fails after the first n
// events, and says what was known then. All that was written before the last flush is
// there. Of the rest each write is there, or is not, or some of its sectors are: in what
// measure that is drawn anew for each image.
func (p *player) image(name string, n int, random *rand.Rand) (known note, l loss, err error) {
	last := p.flushed
	for i := p.flushed; i < n; i++ {
		if p.events[i].flush {
			last = i + 1
		}
	}
	for ; p.flushed < last; p.flushed++ {
		e := &p.events[p.flushed]
		if e.note != nil {
			p.known = *e.note
		}
		if _, err := p.base.WriteAt(e.data, e.at); err != nil {
			return known, l, err
		}
	}
	image, err := copyFile(name, p.base)
	if err != nil {
		return known, l, err
	}
	known = p.known
	lost, torn := []float64{0, 0.1, 0.5, 0.9, 1}[random.IntN(5)], []float64{0, 0.1, 0.5}[random.IntN(3)]
	for i := last; i < n; i++ {
		e := &p.events[i]
		switch {
		case e.note != nil:
			known = *e.note
			continue
		case random.Float64() < torn:
			l.torn++
			err = writeSome(image, e, random)
		case random.Float64() < lost:
			l.lost++
		default:
			_, err = image.WriteAt(e.data, e.at)
		}
		if l.open++; err != nil {
			break
		}
	}
	return known, l, errors.Join(err, image.Close())
}

// writeSome writes some sectors: those before one that is drawn, or any.
func writeSome(image io.WriterAt, e *event, random *rand.Rand) error {
	sectors := (len(e.data) + sectorBytes - 1) / sectorBytes
	end := random.IntN(sectors + 1)
	inOrder := random.IntN(2) == 0
	for s := range sectors {
		if inOrder && s >= end || !inOrder && random.IntN(2) == 0 {
			continue
		}
		sector := e.data[s*sectorBytes : min((s+1)*sectorBytes, len(e.data))]
		if _, err := image.WriteAt(sector, e.at+int64(s*sectorBytes)); err != nil {
			return err
		}
	}
	return nil
}

// copyFile makes a file that holds what another does, with holes where that is zero.
func copyFile(name string, from *os.File) (*os.File, error) {
	info, err := from.Stat()
	if err != nil {
		return nil, err
	}
	to, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := to.Truncate(info.Size()); err != nil {
		return nil, errors.Join(err, to.Close())
	}
	const chunk = 1 << 20
	b, zeros := make([]byte, chunk), make([]byte, chunk)
	for at, end := int64(0), int64(0); err == nil && at < info.Size(); {
		if at, end, err = nextData(from, at); err != nil || at < 0 {
			break
		}
		for n := 0; at < end && err == nil; at += int64(n) {
			if n, err = from.ReadAt(b[:min(chunk, end-at)], at); n > 0 && !bytes.Equal(b[:n], zeros[:n]) {
				_, err = to.WriteAt(b[:n], at)
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, to.Close())
	}
	return to, nil
}
