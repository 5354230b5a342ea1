package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The marks between which a table is put into a document.
const (
	guideBegin = "<!-- results -->"
	guideEnd   = "<!-- /results -->"
)

// publish writes the table and the plots into the directory of the results, and
// the table to out and, if that is wanted, into the guide.
func publish(s *sweepSettings, results []result, out io.Writer) error {
	all := summarize(results)
	text := conditions(results) + "\n" + table(all)
	if err := os.WriteFile(filepath.Join(s.out, "table.md"), []byte(text), 0o666); err != nil {
		return err
	}
	var plots []string
	for _, c := range charts(all) {
		name := filepath.Join(s.out, c.file)
		if err := os.WriteFile(name, c.svg(), 0o666); err != nil {
			return err
		}
		plots = append(plots, name)
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if s.guide == "" {
		return nil
	}
	for _, name := range plots {
		text += picture(s.guide, name)
	}
	return replaceResults(s.guide, text)
}

// conditions is the sentence above the tables: what our own runs say of the
// machine.
func conditions(results []result) string {
	for _, r := range results {
		if r.Peer == ours && r.Go != "" {
			return fmt.Sprintf("Medians of runs of %.1f s, %s, %d CPUs. A ratio is to the best of the peers in that column.\n", r.Seconds, r.Go, r.CPUs)
		}
	}
	return "Medians. A ratio is to the best of the peers in that column.\n"
}

// picture is the Markdown that shows a plot in the document, "" if it does not
// lie beside or below it.
func picture(document, plot string) string {
	path, err := filepath.Rel(filepath.Dir(document), plot)
	if err != nil || !filepath.IsLocal(path) {
		return ""
	}
	title := strings.TrimSuffix(filepath.Base(plot), ".svg")
	return fmt.Sprintf("\n![%s](%s)\n", title, filepath.ToSlash(path))
}

// replaceResults puts the text between the marks of the document.
func replaceResults(document, text string) error {
	content, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(content), guideBegin+"\n")
	_, after, ended := strings.Cut(rest, guideEnd)
	if !begun || !ended {
		return fmt.Errorf("%s has no line %s with a %s after it", document, guideBegin, guideEnd)
	}
	return os.WriteFile(document, []byte(before+guideBegin+"\n"+text+guideEnd+after), 0o666)
}
