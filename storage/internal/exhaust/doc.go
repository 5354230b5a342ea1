// Package exhaust lets a test see what happens when the process has run out of
// descriptors.
package exhaust
