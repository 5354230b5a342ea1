// Package repository holds the tests that keep the rules of the house: which
// package may import which, how long files and functions may grow, and that the
// documents agree with the code. It has no code of its own.
package repository
