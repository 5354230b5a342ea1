package disk

// Names are those in a directory. Windows has no way to make them durable.
type Names struct{}

// OpenNames does nothing.
func OpenNames(string) (*Names, error) { return &Names{}, nil }

// Sync does nothing.
func (n *Names) Sync() error { return nil }

// Close does nothing.
func (n *Names) Close() error { return nil }

// SyncDir does nothing.
func SyncDir(string) error { return nil }
