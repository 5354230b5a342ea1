//go:build !unix

package cli

// mounted reports whether a file system is mounted at a directory: here nobody tells.
func mounted(string) bool { return false }
