package membership

// Founding is a hash of the list that a cluster was founded with; zero is
// unknown.
type Founding [16]byte

// FoundingOf is replaced by the merge.
func FoundingOf(members []Member) Founding { return Founding{byte(len(members))} }

func (c *Configuration) ExchangeWanted(old, new Identity) (Configuration, error) { return *c, nil }
