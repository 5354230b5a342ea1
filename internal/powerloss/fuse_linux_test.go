package powerloss

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A file system in user space with one file, which a disk is behind. A loop device on
// the file makes a write of each block that a file system writes, and an fsync of each
// flush of the device. It speaks as much of the protocol as one file needs, so that no
// library has to be brought in for it:
//
//	request  length 4, operation 4, number 8, node 8, and 16 of no concern; what belongs to the operation
//	answer   length 4, error 4, number 8; what belongs to the operation
//
// All numbers are little endian.
const (
	requestBytes = 40
	answerBytes  = 16
	payloadMax   = 1 << 20

	rootNode, diskNode = 1, 2
	diskName           = "disk"
	forever            = 1 << 20 // seconds for which attributes hold
)

// operation of the protocol.
type operation uint32

const (
	opLookup     operation = 1
	opForget     operation = 2
	opGetAttr    operation = 3
	opSetAttr    operation = 4
	opOpen       operation = 14
	opRead       operation = 15
	opWrite      operation = 16
	opStatFS     operation = 17
	opRelease    operation = 18
	opFsync      operation = 20
	opFlush      operation = 25
	opInit       operation = 26
	opOpenDir    operation = 27
	opReleaseDir operation = 29
	opInterrupt  operation = 36
	opDestroy    operation = 38
	opForgetMany operation = 42
)

// errNoAnswer: the operation has none.
var errNoAnswer = errors.New("no answer is due")

// mountDisk mounts the file system on dir, and returns its file.
func mountDisk(dir string, d *disk) (file string, unmount func() error, err error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("/dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0", fd, unix.S_IFDIR)
	if err := unix.Mount("powerloss", dir, "fuse", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return "", nil, fmt.Errorf("mount of a file system in user space: %w", errors.Join(err, unix.Close(fd)))
	}
	go (&server{fd, d}).serve()
	return filepath.Join(dir, diskName), func() error { return unix.Unmount(dir, 0) }, nil
}

// server answers what the kernel asks of one mount.
type server struct {
	fd   int
	disk *disk
}

// serve ends when the file system is unmounted.
func (s *server) serve() {
	defer unix.Close(s.fd)
	for b := make([]byte, payloadMax+64<<10); ; {
		n, err := unix.Read(s.fd, b)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT):
			continue
		case err != nil || n < requestBytes:
			return
		}
		answer, err := s.answer(b[:n])
		if errors.Is(err, errNoAnswer) {
			continue
		}
		var refusal unix.Errno
		if err != nil && !errors.As(err, &refusal) {
			refusal = unix.EIO
		}
		out := make([]byte, answerBytes, answerBytes+len(answer))
		if refusal == 0 {
			out = append(out, answer...)
		}
		binary.LittleEndian.PutUint32(out[0:], uint32(len(out)))
		binary.LittleEndian.PutUint32(out[4:], -uint32(refusal))
		copy(out[8:], b[8:16])
		if _, err := unix.Write(s.fd, out); err != nil && !errors.Is(err, unix.ENOENT) {
			fmt.Fprintln(os.Stderr, "powerloss: answering the kernel:", err)
			return
		}
	}
}

// answer carries a request out.
func (s *server) answer(request []byte) (answer []byte, err error) {
	in := request[requestBytes:]
	number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(in[i:])) }
	length := func(i int) int { return int(binary.LittleEndian.Uint32(in[i:])) }
	switch operation(binary.LittleEndian.Uint32(request[4:])) {
	case opInit:
		return s.capabilities(), nil
	case opLookup:
		if string(in) != diskName+"\x00" {
			return nil, unix.ENOENT
		}
		return s.entry(), nil
	case opGetAttr, opSetAttr:
		node := binary.LittleEndian.Uint64(request[16:])
		return append(binary.LittleEndian.AppendUint64(nil, forever), append(make([]byte, 8), s.attributes(node)...)...), nil
	case opOpen:
		const direct = 1 // nothing stays in the memory of this file system
		return append(make([]byte, 8), direct, 0, 0, 0, 0, 0, 0, 0), nil
	case opOpenDir:
		return make([]byte, 16), nil
	case opRead:
		answer = make([]byte, length(16))
		n, err := s.disk.read(answer, number(8))
		return answer[:n], err
	case opWrite:
		n := length(16)
		return binary.LittleEndian.AppendUint64(nil, uint64(n)), s.disk.write(in[40:40+n], number(8))
	case opFsync:
		s.disk.flush()
		return nil, nil
	case opStatFS:
		return make([]byte, 80), nil
	case opFlush, opRelease, opReleaseDir, opDestroy:
		return nil, nil
	case opForget, opForgetMany, opInterrupt:
		return nil, errNoAnswer
	}
	return nil, unix.ENOSYS
}

// capabilities is what is agreed on at the beginning: version 7.31, and large writes.
func (s *server) capabilities() []byte {
	const bigWrites, maxPages = 1 << 5, 1 << 22
	b := make([]byte, 64)
	for i, n := range map[int]uint32{0: 7, 4: 31, 8: 128 << 10, 12: bigWrites | maxPages, 20: payloadMax, 24: 1} {
		binary.LittleEndian.PutUint32(b[i:], n)
	}
	binary.LittleEndian.PutUint16(b[28:], payloadMax/blockBytes)
	return b
}

// entry describes the file to whoever has looked for it.
func (s *server) entry() []byte {
	b := make([]byte, 40, 128)
	binary.LittleEndian.PutUint64(b[0:], diskNode)
	binary.LittleEndian.PutUint64(b[16:], forever)
	binary.LittleEndian.PutUint64(b[24:], forever)
	return append(b, s.attributes(diskNode)...)
}

func (s *server) attributes(node uint64) []byte {
	size, mode := int64(blockBytes), uint32(unix.S_IFDIR|0o700)
	if node == diskNode {
		size, mode = s.disk.size, unix.S_IFREG|0o600
	}
	b := make([]byte, 88)
	binary.LittleEndian.PutUint64(b[0:], node)
	binary.LittleEndian.PutUint64(b[8:], uint64(size))
	binary.LittleEndian.PutUint64(b[16:], uint64(size/sectorBytes))
	for i, n := range map[int]uint32{60: mode, 64: 1, 80: blockBytes} {
		binary.LittleEndian.PutUint32(b[i:], n)
	}
	return b
}
