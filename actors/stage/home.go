package stage

// Home is what actors have in common that live and end together: what they run in,
// and who takes the failure of each and is told of its end, as in a Shell.
type Home struct {
	Env    Environment
	Failed func(cause error)
	Ended  func()
}

// Shell returns the shell of an actor that lives there. It may be changed before
// Start.
func (h Home) Shell(name string, next func() bool, closing func()) Shell {
	return Shell{Env: h.Env, Name: name, Next: next, Closing: closing, Failed: h.Failed, Ended: h.Ended}
}
