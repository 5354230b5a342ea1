package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// terminal opens a terminal: what is written to one end is read from the other.
func terminal(t *testing.T) (screen, end *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system gives no terminal: %v", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	control, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number, unlock uint32
	var failed syscall.Errno
	err = control.Control(func(fd uintptr) {
		const unlockTerminal, terminalNumber = 0x40045431, 0x80045430
		if _, _, failed = syscall.Syscall(syscall.SYS_IOCTL, fd, unlockTerminal, uintptr(unsafe.Pointer(&unlock))); failed == 0 {
			_, _, failed = syscall.Syscall(syscall.SYS_IOCTL, fd, terminalNumber, uintptr(unsafe.Pointer(&number)))
		}
	})
	if err != nil || failed != 0 {
		t.Skipf("this system gives no terminal: %v, %v", err, failed)
	}
	end, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system gives no terminal: %v", err)
	}
	t.Cleanup(func() { _ = end.Close() })
	return screen, end
}

// TestWatchOnATerminal: there it is a table, drawn over the last one, and Ctrl-C ends it
// with exit code 0.
func TestWatchOnATerminal(t *testing.T) {
	screen, end := terminal(t)
	command := exec.CommandContext(t.Context(), binary, "status", "--watch", "--interval", "20ms", "--http", closedPort(t))
	command.Stdout, command.Stderr, command.Stdin = end, end, end
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = end.Close() // the process has it
	if err := screen.SetReadDeadline(time.Now().Add(waitLimit)); err != nil {
		t.Skipf("reads of this terminal cannot be bounded: %v", err)
	}
	var shown bytes.Buffer
	buffer := make([]byte, 4096)
	for !strings.Contains(shown.String(), "\x1b[3A") { // the second table, over three lines
		n, err := screen.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q", err, &shown)
		}
		shown.Write(buffer[:n])
	}
	if text := shown.String(); !strings.Contains(text, "CONTACT  NOTES") || !strings.Contains(text, "refused") {
		t.Errorf("%q", text)
	}
	if _, err := screen.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	for {
		if _, err := screen.Read(buffer); err != nil {
			break
		}
	}
	if err := command.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}
