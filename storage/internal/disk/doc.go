// Package disk is what stores need of the file system beyond package os.
package disk
