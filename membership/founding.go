package membership

// Founding is a hash of the list that a cluster was founded with; zero is
// unknown.
type Founding [16]byte
