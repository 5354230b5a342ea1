package powerloss

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fileSystem is one that the stores are tried on.
type fileSystem struct {
	name string
	// format are the options with which one is made on a device.
	format []string
}

// fileSystems that are known. They are made at once, and not bit by bit while they are
// used, and leave what they do not need.
var fileSystems = []fileSystem{
	{"ext4", []string{"-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"}},
	{"xfs", []string{"-q", "-f", "-K"}},
	{"btrfs", []string{"-q", "-f", "-K"}},
}

// stand is a disk with a file system on it. Its folders lie in one that goes with the
// test.
type stand struct {
	t      *testing.T
	fs     fileSystem
	dir    string
	disk   *disk
	device string
	// mounted is where the file system is, empty if it is not.
	mounted string
}

// run is a command of the system.
func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}

// insist tries what others may hold up for a moment.
func insist(do func() error) (err error) {
	for range 100 {
		if err = do(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// lacks says what this machine has not that the file system's stand needs, or nothing.
func lacks(fs fileSystem) string {
	if os.Geteuid() != 0 {
		return "it needs root"
	}
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		if f, err := os.OpenFile(device, os.O_RDWR, 0); err != nil {
			return fmt.Sprintf("it needs %s: %v", device, err)
		} else {
			_ = f.Close()
		}
	}
	for _, tool := range []string{"mkfs." + fs.name, "losetup", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Sprintf("it needs %s", tool)
		}
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(known), "\t"+fs.name+"\n") {
		if _, err := run("modprobe", fs.name); err != nil {
			return "the kernel knows no " + fs.name
		}
	}
	return ""
}

// newStand makes a disk of so many bytes, formatted and not mounted.
func newStand(t *testing.T, fs fileSystem, size int64) *stand {
	t.Helper()
	dir, err := os.MkdirTemp(*workDir, "powerloss")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &stand{t: t, fs: fs, dir: dir}
	if s.disk, err = newDisk(s.path("disk.img"), size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.disk.file.Close() })
	for _, folder := range []string{"fuse", "live", "image"} {
		if err := os.Mkdir(s.path(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file, unmount, err := mountDisk(s.path("fuse"), s.disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := insist(unmount); err != nil {
			t.Error(err)
		}
	})
	if s.device, err = run("losetup", "-f", "--show", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := run("losetup", "-d", s.device); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.unmount)
	if _, err := run("mkfs."+fs.name, append(fs.format, s.device)...); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) path(name string) string { return filepath.Join(s.dir, name) }

// mount mounts the live file system, and returns where.
func (s *stand) mount() (string, error) {
	live := s.path("live")
	if _, err := run("mount", "-t", s.fs.name, s.device, live); err != nil {
		return "", err
	}
	s.mounted = live
	_, err := run("sync", "-f", live)
	return live, err
}

func (s *stand) unmount() {
	if s.mounted == "" {
		return
	}
	if err := insist(func() error { return unix.Unmount(s.mounted, 0) }); err != nil {
		s.t.Errorf("unmounting %s: %v", s.mounted, err)
	}
	s.mounted = ""
}

// inImage mounts an image while do runs. mounted is false if
// the file system takes none of it: that is its own fault, and no store's.
func (s *stand) inImage(name string, do func(dir string) error) (mounted bool, err error) {
	if s.fs.name == "btrfs" {
		_, _ = run("btrfs", "device", "scan", "--forget") // it remembers those of other images
	}
	dir := s.path("image")
	if _, err := run("mount", "-t", s.fs.name, "-o", "loop", name, dir); err != nil {
		s.t.Logf("not mounted: %v", err)
		return false, nil
	}
	err = do(dir)
	return true, errors.Join(err, insist(func() error { return unix.Unmount(dir, 0) }))
}

// nextData returns the next part of a file, from an offset on, that is no hole; from is
// -1 if there is none.
func nextData(f *os.File, at int64) (from, end int64, err error) {
	from, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return -1, 0, nil
	}
	if err == nil {
		end, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
	}
	return from, end, err
}
