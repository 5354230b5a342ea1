package repository

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// glossaryMin is about how many words of ours the code has. Whoever renames them
// all may lower it.
const glossaryMin = 30

// TestGlossaryIsOfTheCode asserts that the words of the glossary are sorted, and that
// each stands in the code of the files where it is said to live, perhaps with another
// end (introduction: introduces).
func TestGlossaryIsOfTheCode(t *testing.T) {
	code := make(map[string]string)
	for _, s := range sources(t, isGo) {
		code[s.path] = strings.ToLower(string(s.content))
	}
	glossary := page(t, "glossary.md")
	table := rows(section(t, glossary, "Glossary"))
	before := ""
	for _, row := range table {
		if len(row) != 4 {
			t.Errorf("%s: %q is no row of four", glossary.path, row)
			continue
		}
		word := row[0]
		if word <= before {
			t.Errorf("%s: %q stands behind %q", glossary.path, word, before)
		}
		before = word
		if row[2] == "" {
			t.Errorf("%s does not say what %q is", glossary.path, word)
		}
		stem := regexp.MustCompile(`\b` + regexp.QuoteMeta(strings.TrimSuffix(word, "tion")))
		files := link.FindAllStringSubmatch(row[3], -1)
		if len(files) == 0 {
			t.Errorf("%s does not say where %q lives", glossary.path, word)
		}
		for _, match := range files {
			file := path.Join("guide", match[1])
			text, found := code[file]
			switch {
			case !found:
				t.Errorf("%s: %q lives in %s, which is no code", glossary.path, word, file)
			case strings.TrimSpace(match[0]) != "[`"+file+"`]("+match[1]+")":
				t.Errorf("%s: the link of %q shows another file than %s", glossary.path, word, file)
			case !stem.MatchString(text):
				t.Errorf("%s: %s does not have the word %q", glossary.path, file, word)
			}
		}
	}
	if len(table) < glossaryMin {
		t.Errorf("%s has only %d words", glossary.path, len(table))
	}
}
