// Package badgerwal knows the write-ahead logs of badger's memory tables, so that a
// database can be looked at without a change of its files: badger itself cuts a log at
// every opening, and refuses to open for reading what it would have to cut.
package badgerwal
