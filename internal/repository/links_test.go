package repository

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	link    = regexp.MustCompile(`\[[^\]\n]*\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
)

// prose is a document without its blocks of code; lines stay where they are.
func prose(content []byte) string {
	return fence.ReplaceAllStringFunc(string(content), func(block string) string {
		return strings.Repeat("\n", strings.Count(block, "\n"))
	})
}

// TestLinksResolve asserts that whatever a document links to is there: a file
// or directory of the repository, and the heading in it.
func TestLinksResolve(t *testing.T) {
	top, links := root(t), 0
	for _, s := range sources(t, isDocument) {
		for i, line := range strings.Split(prose(s.content), "\n") {
			for _, match := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(match[1], "://") {
					continue
				}
				links++
				if err := resolve(top, s.path, match[1]); err != nil {
					t.Errorf("%s:%d links to %s: %v", s.path, i+1, match[1], err)
				}
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links were found", links)
	}
}

// resolve looks for what a link of a document points to.
func resolve(top, document, target string) error {
	name, anchor, hasAnchor := strings.Cut(target, "#")
	file := document
	if name != "" {
		file = path.Join(path.Dir(document), name)
	}
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return fmt.Errorf("it is not in the repository")
	}
	full := filepath.Join(top, filepath.FromSlash(file))
	if !hasAnchor {
		_, err := os.Stat(full)
		return err
	}
	content, err := os.ReadFile(full)
	if err != nil {
		return err
	}
	if !anchors(content)[anchor] {
		return fmt.Errorf("%s has no such heading", file)
	}
	return nil
}

// anchors are the names by which GitHub lets the headings of a document be
// linked to.
func anchors(document []byte) map[string]bool {
	found := make(map[string]bool)
	for _, match := range heading.FindAllStringSubmatch(prose(document), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, link.ReplaceAllStringFunc(match[1], func(l string) string { return l[:strings.Index(l, "](")] }))
		for n, first := 1, name; found[name]; n++ {
			name = fmt.Sprintf("%s-%d", first, n)
		}
		found[name] = true
	}
	return found
}

// TestGuideHasNoDeadPages asserts that the contents of the guide name each of
// its pages once.
func TestGuideHasNoDeadPages(t *testing.T) {
	named := make(map[string]int)
	pages := sources(t, func(p string) bool { return path.Dir(p) == "guide" })
	for _, s := range pages {
		if s.path != guideContents {
			continue
		}
		for _, match := range link.FindAllStringSubmatch(prose(s.content), -1) {
			named[path.Join("guide", match[1])]++
		}
	}
	for _, s := range pages {
		if s.path != guideContents && named[s.path] != 1 {
			t.Errorf("%s names %s %d times", guideContents, s.path, named[s.path])
		}
	}
}

const guideContents = "guide/README.md"
