//go:build !linux

package powerloss

import (
	"flag"
	"testing"
)

var _ = flag.Bool("powerloss", false, "run on real file systems; needs Linux")

func TestPowerLoss(t *testing.T) { t.Skip("it needs FUSE and loop devices of Linux") }
