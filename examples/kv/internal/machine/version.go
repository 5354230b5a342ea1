package machine

// Version implements storage.Versioned: commands and snapshots of other versions are not
// taken. Who adds a command raises it, and proposes the command with
// troupe.NeedsVersion.
func (*Memory) Version() uint64 { return commandVersion }

// Version implements storage.Versioned, as that of Memory.
func (*Badger) Version() uint64 { return commandVersion }
