package troupe

// ReadMode says how current a read has to be. [Linearizable] is the only one so
// far, and the zero value.
type ReadMode struct{}

// Linearizable reads see every write that was acknowledged before they began,
// wherever it was made (dissertation, 6.4). They never trust a clock.
var Linearizable = ReadMode{}

// String returns "linearizable".
func (ReadMode) String() string { return "linearizable" }
