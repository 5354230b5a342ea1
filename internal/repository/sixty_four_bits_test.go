package repository

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// TestThirtyTwoBitsAreRefused asserts that the compiler refuses a processor of 32 bits by
// an error that says so, and no other.
func TestThirtyTwoBitsAreRefused(t *testing.T) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join(root(t), "membership", "sixty_four_bits.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for processor, refused := range map[string]bool{"amd64": false, "arm64": false, "riscv64": false, "386": true, "arm": true, "mips": true} {
		check := types.Config{Sizes: types.SizesFor("gc", processor)}
		_, err := check.Check("membership", files, []*ast.File{file}, nil)
		if refused != (err != nil) || refused && !strings.Contains(err.Error(), "NeedsAProcessorOf64Bits") {
			t.Errorf("%s: %v", processor, err)
		}
	}
}
